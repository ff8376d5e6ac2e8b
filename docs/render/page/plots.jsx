// Bar chart, state timeline and heatmap: approximations.
//
// Grafana's own are panel plugins, which are not published. These draw rectangles on Grafana's own
// axes (UPlotConfigBuilder), with the colours, units and thresholds of the fields.

import React from 'react';
import uPlot from 'uplot';
import * as schemes from 'd3-scale-chromatic';
import { FieldType, formattedValueToString, getFieldDisplayName, getFieldSeriesColor } from '@grafana/data';
import { UPlotChart, UPlotConfigBuilder, VizLayout, VizLegend, buildScaleKey, measureText } from '@grafana/ui';

const HORIZONTAL = { orientation: 0, direction: 1 };
const VERTICAL = { orientation: 1, direction: 1 };

function Drawn({ builder, data, width, height, legend, draw }) {
  builder.addHook('draw', (u) => {
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    u.ctx.clip();
    draw(u, u.ctx);
    u.ctx.restore();
  });
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(w, h) => <UPlotChart config={builder} data={data} width={w} height={h} />}
    </VizLayout>
  );
}

function legendOf(options, items) {
  if (options?.legend?.showLegend === false || items.length === 0) return null;
  return (
    <VizLayout.Legend placement="bottom">
      <VizLegend placement="bottom" displayMode="list" items={items} />
    </VizLayout.Legend>
  );
}

const unseen = (theme) => ({ theme, pathBuilder: () => null, pointsBuilder: () => undefined, scaleKey: 'y' });

function timeAxis(builder, range, theme) {
  const bounds = () => [range.from.valueOf(), range.to.valueOf()];
  builder.addScale({ scaleKey: 'x', isTime: true, ...HORIZONTAL, range: bounds });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: 'bottom', timeZone: 'utc', theme });
}

// Rows with names, from the top down; a name stands at `place` of its row, 0.5 being the middle.
function rowAxis(builder, names, theme, place) {
  const rows = names.length;
  builder.addScale({ scaleKey: 'y', ...VERTICAL, range: () => [0, rows] });
  builder.addAxis({
    scaleKey: 'y',
    placement: 'left',
    theme,
    size: Math.max(...names.map((name) => measureText(name, 12).width)) + 16,
    splits: names.map((_, row) => rows - row - 1 + place),
    values: names,
    grid: { show: false },
    ticks: { show: false },
  });
}

// A field of each series, with its moments.
export const seriesOf = (frames) => frames.flatMap((frame) => {
  const times = frame.fields.find((field) => field.type === FieldType.time)?.values;
  return frame.fields
    .filter((field) => field.type === FieldType.number)
    .map((field) => ({ field, times, name: getFieldDisplayName(field, frame, frames) }));
});

export function StateTimeline({ panel, frames, range, width, height, theme }) {
  const series = seriesOf(frames);
  const builder = new UPlotConfigBuilder('utc');
  timeAxis(builder, range, theme);
  rowAxis(builder, series.map(({ name }) => name), theme, 0.5);
  series.forEach(() => builder.addSeries(unseen(theme)));
  const opacity = (field) => (field.config.custom?.fillOpacity ?? 70) / 100;
  const draw = (u, ctx) => series.forEach(({ field, times }, row) => {
    const thickness = panel.options?.rowHeight ?? 0.9;
    const top = u.valToPos(series.length - row - (1 - thickness) / 2, 'y', true);
    const bottom = u.valToPos(series.length - row - 1 + (1 - thickness) / 2, 'y', true);
    ctx.globalAlpha = opacity(field);
    for (const { from, to, value } of runs(field, times, range)) {
      const left = u.valToPos(from, 'x', true);
      ctx.fillStyle = field.display(value).color;
      ctx.fillRect(left, top, u.valToPos(to, 'x', true) - left, bottom - top);
    }
    ctx.globalAlpha = 1;
  });
  const data = [series[0].times, ...series.map(({ field }) => field.values)];
  const legend = legendOf(panel.options, stateItems(series));
  return <Drawn {...{ builder, data, width, height, legend, draw }} />;
}

// Stretches of one value, each up to the next sample; none where there is no sample.
function runs(field, times, range) {
  const found = [];
  field.values.forEach((value, at) => {
    if (value === null) return;
    const to = times[at + 1] ?? range.to.valueOf();
    const last = found.at(-1);
    if (last?.value === value && last.to === times[at]) last.to = to;
    else found.push({ from: times[at], to, value });
  });
  return found;
}

function stateItems(series) {
  const values = [...new Set(series.flatMap(({ field }) => field.values))].filter((v) => v !== null);
  const display = series[0].field.display;
  const mapped = series[0].field.config.mappings?.flatMap(({ type, options }) => (
    type === 'value' ? Object.keys(options).map(Number) : []));
  return (mapped?.length > 0 ? mapped : values).map((value) => {
    const shown = display(value);
    return { label: formattedValueToString(shown), color: shown.color, yAxis: 1 };
  });
}

export function BarChart({ panel, frames, width, height, theme }) {
  const frame = frames[0];
  const x = frame.fields.find((field) => getFieldDisplayName(field, frame, frames) === panel.options.xField)
    ?? frame.fields.find((field) => field.type === FieldType.string || field.type === FieldType.time);
  const bars = frame.fields.filter((field) => field !== x && field.type === FieldType.number);
  const builder = new UPlotConfigBuilder('utc');
  const count = x.values.length;
  builder.addScale({ scaleKey: 'x', ...HORIZONTAL, range: () => [-0.5, count - 0.5] });
  const labels = x.values.map((value) => formattedValueToString(x.display(value)));
  const every = Math.ceil(count / Math.max(1, Math.floor(width / 48)));
  builder.addAxis({
    scaleKey: 'x', placement: 'bottom', theme, grid: { show: false }, ticks: { show: false },
    splits: labels.map((_, at) => at), values: labels.map((label, at) => (at % every ? '' : label)),
  });
  const scaleKey = buildScaleKey(bars[0].config, FieldType.number);
  bars.forEach((field) => valueAxis(builder, field, scaleKey, theme));
  const stacked = panel.options.stacking === 'normal';
  const colors = bars.map((field) => getFieldSeriesColor(field, theme).color);
  const share = panel.options.groupWidth ?? 0.7;
  const draw = (u, ctx) => x.values.forEach((_, at) => {
    let below = 0;
    bars.forEach((field, nth) => {
      const value = field.values[at] ?? 0;
      const thick = stacked ? share : share / bars.length;
      const from = stacked ? at - share / 2 : at - share / 2 + nth * thick;
      const gap = stacked ? 0 : (thick * (1 - (panel.options.barWidth ?? 0.97))) / 2;
      const left = u.valToPos(from + gap, 'x', true);
      const top = u.valToPos(below + value, scaleKey, true);
      ctx.fillStyle = field.config.color?.mode === 'thresholds' ? field.display(value).color : colors[nth];
      ctx.globalAlpha = (field.config.custom?.fillOpacity ?? 80) / 100;
      ctx.fillRect(left, top, u.valToPos(from + thick - gap, 'x', true) - left,
        u.valToPos(below, scaleKey, true) - top);
      if (stacked) below += value;
    });
  });
  const items = bars.map((field, nth) => (
    { label: getFieldDisplayName(field, frame, frames), color: colors[nth], yAxis: 1 }));
  const data = [x.values.map((_, at) => at), ...stackedValues(bars, stacked)];
  const legend = legendOf(panel.options, items);
  return <Drawn {...{ builder, data, width, height, legend, draw }} />;
}

// What the scale must hold: sums where bars stand upon each other.
function stackedValues(bars, stacked) {
  const sums = new Array(bars[0].values.length).fill(0);
  return bars.map((field) => (
    stacked ? field.values.map((value, at) => (sums[at] += value ?? 0)) : field.values));
}

function valueAxis(builder, field, scaleKey, theme) {
  const { min, max, decimals, thresholds, custom } = field.config;
  builder.addScale({ scaleKey, ...VERTICAL, min, max, decimals, softMin: custom?.axisSoftMin ?? 0, softMax: custom?.axisSoftMax });
  const formatValue = (v, digits) => formattedValueToString(field.display(v, decimals ?? digits));
  builder.addAxis({ scaleKey, placement: 'left', theme, formatValue, label: custom?.axisLabel });
  builder.addSeries({ ...unseen(theme), scaleKey });
  const style = custom?.thresholdsStyle;
  if (style && style.mode !== 'off') {
    builder.addThresholds({ config: style, thresholds, scaleKey, theme, hardMin: min, hardMax: max });
  }
}

export function Heatmap({ panel, frames, range, width, height, theme }) {
  const series = seriesOf(frames);
  const buckets = series.every(({ field }) => field.labels?.le !== undefined);
  if (panel.options?.yAxis?.reverse !== true) series.reverse();
  const unit = panel.options?.yAxis?.unit;
  const names = series.map(({ name, field }) => (buckets ? bound(field.labels.le, unit) : name));
  const builder = new UPlotConfigBuilder('utc');
  timeAxis(builder, range, theme);
  rowAxis(builder, thinned(names, height), theme, buckets ? 1 : 0.5);
  series.forEach(() => builder.addSeries(unseen(theme)));
  const paint = palette(panel.options?.color ?? {}, series, theme);
  const gap = (panel.options?.cellGap ?? 1) * uPlot.pxRatio;
  const draw = (u, ctx) => series.forEach(({ field, times }, row) => {
    const top = u.valToPos(series.length - row, 'y', true);
    const bottom = u.valToPos(series.length - row - 1, 'y', true);
    field.values.forEach((value, at) => {
      if (paint.hides(value)) return;
      // A rate at a moment is about the time before it.
      const step = times[1] - times[0];
      const left = u.valToPos(times[at] - step, 'x', true);
      const right = u.valToPos(times[at], 'x', true);
      ctx.fillStyle = paint.color(value);
      ctx.fillRect(left + gap / 2, top + gap / 2, Math.max(1, right - left - gap), bottom - top - gap);
    });
  });
  const data = [series[0].times, ...series.map(({ field }) => field.values)];
  const show = panel.options?.legend?.show !== false;
  const legend = show ? <Scale paint={paint} format={paint.format} /> : null;
  return <Drawn {...{ builder, data, width, height, legend, draw }} />;
}

function bound(le, unit) {
  if (le === '+Inf') return '+Inf';
  if (unit !== 's') return le;
  return +le < 1 ? `${Math.round(+le * 1000)} ms` : `${+le} s`;
}

// As many names as there is room for.
function thinned(names, height) {
  const every = Math.ceil(names.length / Math.max(1, (height - 70) / 18));
  return names.map((name, row) => ((names.length - 1 - row) % every ? '' : name));
}

// Schemes that Grafana turns round in the dark theme: their pale end means little.
const TURNED = /^(Blues|Greens|Greys|Oranges|Purples|Reds|BuGn|BuPu|GnBu|OrRd|Pu.*|RdPu|YlGn.*|YlOr.*)$/;

function palette(options, series, theme) {
  const { scheme = 'Oranges', mode = 'scheme', steps = 64, exponent = 0.5, reverse = false } = options;
  const values = series.flatMap(({ field }) => field.values).filter((v) => v !== null && v > 1e-9);
  const min = options.min ?? Math.min(...values);
  const max = options.max ?? Math.max(...values);
  const at = (share) => {
    const step = Math.round(share * (steps - 1)) / (steps - 1);
    if (mode === 'opacity') {
      const alpha = Math.round(255 * (options.scale === 'linear' ? step : step ** exponent));
      return `${theme.visualization.getColorByName(options.fill ?? 'dark-orange')}${hex(alpha)}`;
    }
    const turned = (TURNED.test(scheme) && theme.isDark) !== reverse;
    return schemes[`interpolate${scheme}`](turned ? 1 - step : step);
  };
  const display = series[0].field.display;
  return {
    at,
    min,
    max,
    hides: (value) => value === null || Number.isNaN(value) || value <= 1e-9,
    color: (value) => at(Math.min(1, Math.max(0, max > min ? (value - min) / (max - min) : 1))),
    format: (value) => formattedValueToString(display(value)),
  };
}

const hex = (byte) => byte.toString(16).padStart(2, '0');

function Scale({ paint, format }) {
  const stops = Array.from({ length: 33 }, (_, i) => paint.at(i / 32)).join(', ');
  return (
    <VizLayout.Legend placement="bottom">
      <div style={{ width: 240, margin: '4px 8px', fontSize: 12 }}>
        <div style={{ height: 8, background: `linear-gradient(90deg, ${stops})` }} />
        <div style={{ display: 'flex', justifyContent: 'space-between' }}>
          <span>{format(paint.min)}</span>
          <span>{format(paint.max)}</span>
        </div>
      </div>
    </VizLayout.Legend>
  );
}
