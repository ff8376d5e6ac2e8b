// A state timeline: an approximation.

import React from 'react';
import { formattedValueToString } from '@grafana/data';
import { UPlotConfigBuilder } from '@grafana/ui';
import { Drawn, legendOf, rowAxis, seriesOf, timeAxis, unseen } from './drawn.jsx';

export function StateTimeline({ panel, frames, range, width, height, theme }) {
  const series = seriesOf(frames);
  const builder = new UPlotConfigBuilder('utc');
  timeAxis(builder, range, theme);
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
  const values = [...new Set(series.flatMap(({ field }) => field.values))].filter(
    (v) => v !== null,
  );
  const display = series[0].field.display;
  const mapped = series[0].field.config.mappings?.flatMap(({ type, options }) =>
    type === 'value' ? Object.keys(options).map(Number) : [],
  );
  return (mapped?.length > 0 ? mapped : values).map((value) => {
    const shown = display(value);
    return { label: formattedValueToString(shown), color: shown.color, yAxis: 1 };
  });
}
