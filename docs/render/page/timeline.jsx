// A state timeline and a status history, which draws a box for each sample: approximations.

import React from 'react';
import { formattedValueToString } from '@grafana/data';
import { UPlotConfigBuilder } from '@grafana/ui';
import { Drawn, legendOf, rowAxis, seriesOf, timeAxis, unseen } from './drawn.jsx';

export function StateTimeline({ panel, frames, range, width, height, theme }) {
  const series = seriesOf(frames);
  const sampled = panel.type === 'status-history';
  const step = series[0].times[1] - series[0].times[0] || 60_000;
  const builder = new UPlotConfigBuilder('utc');
  timeAxis(builder, sampled ? widened(range, step / 2) : range, theme);
  rowAxis(
    builder,
    series.map(({ name }) => name),
    theme,
    0.5,
  );
  series.forEach(() => builder.addSeries(unseen(theme)));
  const opacity = (field) => (field.config.custom?.fillOpacity ?? 70) / 100;
  const draw = (u, ctx) =>
    series.forEach(({ field, times }, row) => {
      const thickness = panel.options?.rowHeight ?? 0.9;
      const top = u.valToPos(series.length - row - (1 - thickness) / 2, 'y', true);
      const bottom = u.valToPos(series.length - row - 1 + (1 - thickness) / 2, 'y', true);
      ctx.globalAlpha = opacity(field);
      const thick = step * (panel.options?.colWidth ?? 0.9);
      for (const { from, to, value } of sampled
        ? boxes(field, times, thick)
        : runs(field, times, range)) {
        const left = u.valToPos(from, 'x', true);
        ctx.fillStyle = field.display(value).color;
        ctx.fillRect(left, top, u.valToPos(to, 'x', true) - left, bottom - top);
      }
      ctx.globalAlpha = 1;
    });
  const data = [series[0].times, ...series.map(({ field }) => field.values)];
  const legend = legendOf(panel.options, stateItems(series, theme));
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

// A box around each sample.
function boxes(field, times, thick) {
  return field.values.flatMap((value, at) =>
    value === null ? [] : [{ from: times[at] - thick / 2, to: times[at] + thick / 2, value }],
  );
}

const widened = ({ from, to }, by) => ({ from: from.valueOf() - by, to: to.valueOf() + by });

// The states that occur, or the thresholds where there are any, as Grafana lists them.
function stateItems(series, theme) {
  const { config, display } = series[0].field;
  const steps = config.color?.mode === 'thresholds' ? (config.thresholds?.steps ?? []) : [];
  const colors = new Map();
  if (steps.length > 1) {
    for (const { value, color } of steps) {
      const bound = Number.isFinite(value) ? value : steps[1].value;
      const text = formattedValueToString(display(bound));
      colors.set(
        `${Number.isFinite(value) ? '' : '< '}${text}${Number.isFinite(value) ? '+' : ''}`,
        color,
      );
    }
  } else {
    for (const { field } of series) {
      for (const value of field.values) {
        const state = value === null ? {} : field.display(value);
        if (state.color && state.text) colors.set(formattedValueToString(state), state.color);
      }
    }
  }
  return [...colors].map(([label, color]) => ({
    label,
    color: theme.visualization.getColorByName(color),
    yAxis: 1,
  }));
}
