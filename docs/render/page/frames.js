// Answers of Prometheus as Grafana's data frames, in the shapes its Prometheus source gives them.

import { FieldType, createDataFrame } from '@grafana/data';

// `stepMs`, where known, fills the moments without a sample with null, so that gaps show as gaps.
export function toFrames(result, target, { alone, stepMs, range }) {
  const instant = !isRange(target);
  if (target.format === 'table') return [table(result, target, alone)];
  const frames = result.map((series) =>
    oneSeries(series, target, instant ? null : { stepMs, range }),
  );
  return target.format === 'heatmap' ? differences(frames) : frames;
}

export const isRange = (target) => target.range ?? !target.instant;

function oneSeries({ metric, values }, target, grid) {
  const name = legend(metric, target);
  const [times, numbers] = grid ? onGrid(values, grid) : columns(values);
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: times, config: {} },
      {
        name: 'Value',
        type: FieldType.number,
        values: numbers,
        labels: metric,
        config: { displayNameFromDS: name },
      },
    ],
  });
}

const columns = (values) => [values.map(([at]) => at * 1000), values.map(([, value]) => +value)];

function onGrid(values, { stepMs, range }) {
  const known = new Map(values.map(([at, value]) => [Math.round(at * 1000), +value]));
  const first = Math.floor(range.from.valueOf() / stepMs) * stepMs;
  const times = [];
  for (let at = first; at <= range.to.valueOf(); at += stepMs) times.push(at);
  return [times, times.map((at) => known.get(at) ?? null)];
}

function table(result, target, alone) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const rows = result.flatMap(({ metric, values }) => values.map(([at, v]) => [at, v, metric]));
  const text = (label) => ({
    name: label,
    type: FieldType.string,
    values: rows.map(([, , metric]) => metric[label] ?? ''),
    config: { filterable: true },
  });
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: rows.map(([at]) => at * 1000), config: {} },
      ...labels.map(text),
      {
        name: alone ? 'Value' : `Value #${target.refId}`,
        type: FieldType.number,
        values: rows.map(([, value]) => +value),
        config: {},
      },
    ],
  });
}

function legend(metric, target) {
  const wanted = target.legendFormat;
  if (wanted && wanted !== '__auto') {
    return wanted.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
  }
  const { __name__: name = '', ...labels } = metric;
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length > 0 ? `${name}{${pairs.join(', ')}}` : name || target.expr;
}

// Cumulative buckets, least first, become counts of their own.
function differences(frames) {
  const bound = (frame) => (({ le }) => (le === '+Inf' ? Infinity : +le))(frame.fields[1].labels);
  const sorted = [...frames].sort((a, b) => bound(a) - bound(b));
  for (let i = sorted.length - 1; i > 0; i -= 1) {
    const below = sorted[i - 1].fields[1].values;
    const field = sorted[i].fields[1];
    field.values = field.values.map((v, at) =>
      v === null ? null : Math.max(0, v - (below[at] ?? 0)),
    );
  }
  return sorted;
}
