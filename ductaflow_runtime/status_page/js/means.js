// Means of the points that share a place on the horizontal axis and a colour, with their standard deviation.

const MOST_PLACES = 40;

// Whether the points stand at few enough places for means to say something.
export function canHaveMeans(x, y, rows) {
  return !y.texts && (x.texts !== null || new Set(rows.map(x.at)).size <= MOST_PLACES);
}

// One group for each place and lane, in order of the places; a single point has no deviation.
export function meansOf(rows, x, y, laneOf) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${x.at(row)} ${laneOf(row)}`;
    if (!groups.has(key)) groups.set(key, { place: x.at(row), lane: laneOf(row), row, values: [] });
    groups.get(key).values.push(y.at(row));
  }
  return [...groups.values()].map(withMean).sort((a, b) => a.lane - b.lane || a.place - b.place);
}

function withMean(group) {
  const count = group.values.length;
  const mean = group.values.reduce((sum, value) => sum + value, 0) / count;
  const squares = group.values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = count > 1 ? Math.sqrt(squares / (count - 1)) : 0;
  return { ...group, count, mean, deviation, low: mean - deviation, high: mean + deviation };
}

export function drawMeans(ctx, groups, toPixel, scheme, drawMark) {
  const cap = 5 * devicePixelRatio;
  for (const group of groups) {
    const mark = scheme.mark(group.row);
    const [x, y] = toPixel(group, group.mean);
    const [, low] = toPixel(group, group.low);
    const [, high] = toPixel(group, group.high);
    ctx.strokeStyle = mark.colour;
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, low);
    ctx.lineTo(x, high);
    for (const end of [low, high]) {
      ctx.moveTo(x - cap, end);
      ctx.lineTo(x + cap, end);
    }
    ctx.stroke();
    drawMark(ctx, x, y, 6 * devicePixelRatio, mark);
  }
}

export function joinMeans(ctx, groups, toPixel, scheme) {
  let last = null;
  for (const group of groups) {
    const [x, y] = toPixel(group, group.mean);
    if (last?.lane === group.lane) {
      ctx.strokeStyle = scheme.mark(group.row).colour;
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(...last.at);
      ctx.lineTo(x, y);
      ctx.stroke();
    }
    last = { lane: group.lane, at: [x, y] };
  }
}
