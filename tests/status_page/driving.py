"""What a person does with the page, and what they see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.waiting import wait_for

ROWS = "return [...document.querySelectorAll('#rows tr[data-index]')]"


def until(condition: Callable[[], Any]) -> Any:
    """The first true answer; fails when there never is one."""
    answers: list[Any] = []
    wait_for(lambda: answers.append(condition()) or answers[-1])
    return answers[-1]


def text(browser: Any, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0])?.innerText || ''", selector))


def names(browser: Any) -> list[str]:
    return list(browser.execute_script(f"{ROWS}.map(tr => tr.querySelector('[data-name=name]').innerText)"))


def typed(browser: Any, selector: str, value: str) -> None:
    field = browser.find_element("css selector", selector)
    field.clear()
    field.send_keys(value)


def click(browser: Any, selector: str) -> None:
    browser.find_element("css selector", selector).click()


def press(browser: Any, *keys: str) -> None:
    browser.switch_to.active_element.send_keys(*keys)


def hover_and_click(browser: Any) -> str:
    """Moves over the plot until it names an instance, and clicks there."""
    from selenium.webdriver import ActionChains

    right, down, name = browser.execute_script(FIRST_NAMED)
    over = browser.find_element("css selector", ".u-over")
    ActionChains(browser).move_to_element_with_offset(over, right, down).click().perform()
    assert text(browser, ".tip b") == name
    return str(name)


FIRST_NAMED = """
const over = document.querySelector('.u-over');
over.scrollIntoView({ block: 'center' });
const area = over.getBoundingClientRect();
for (let y = Math.ceil(area.top) + 4; y < area.bottom; y += 6) {
  for (let x = Math.ceil(area.left) + 4; x < area.right; x += 6) {
    over.dispatchEvent(new MouseEvent('mousemove', { clientX: x, clientY: y, bubbles: true }));
    const tip = document.querySelector('.tip');
    const right = Math.round(x - area.left - area.width / 2);
    const down = Math.round(y - area.top - area.height / 2);
    if (!tip.hidden) return [right, down, tip.querySelector('b').innerText];
  }
}
"""
