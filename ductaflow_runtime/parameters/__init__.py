"""What parameters a flow takes, and whether it can read those that it is given.

A value that nobody reads is a wrong number with a green light: the row says `tol = 0.1`, the code reads `toll`, and
the default is what was computed with. So before anything runs, each key of a config is held against the code.

What is known of a flow is found once, from the syntax of its cells (`keys.FlowKeys`, plain JSON, to be cached beside
the flow's other analysis): which keys it reads, where its config goes out of sight, and every name in it. Against
that, a key is one of these:

- *read*: the code reads it there, or the parameters cell, the default config or `base_config` has it. Fine.
- *out of sight*: an object that holds the key is iterated over, unpacked, passed on, or looked up with a key made at
  run time. Then a key that is a name or a text anywhere in the code, the project's own modules included, is fine,
  and any other is a warning.
- *in plain sight*, and not read: an error. Only if the code does have that name, in another place, a warning. So is
  a whole object without any key like one that is read: a section that another step reads.

What cannot be followed counts as out of sight, never as unread: a row that could run right is not refused. The price
is a warning where the code is too clever. Texts that nobody executes (comments, markdown, docstrings) do not count.

A flow whose parameters cell assigns no `config` gets each key as a variable, as papermill injects it. There only the
names that its parameters cell assigns are known, and those that the code reads before it assigns them: anything else
would be injected, and overwritten or ignored.

A key that is known must arrive as well: its value is put in below the parameters cell, so what that cell computes with
it, or a cell below assigns anew before anything reads it, is told too. There the order of statements counts.

`cell` reads the parameters cell, `names` and `scopes` list what code names, `follow` follows the config through it,
`fate` asks what becomes of a variable from cell to cell, `arrival` what keeps values from arriving,
`modules` finds the project's modules, `keys` puts the analysis together, `check` holds a config against it.
"""
