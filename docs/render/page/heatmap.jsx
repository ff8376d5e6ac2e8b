// A heatmap of series, a row each: an approximation.

import React from 'react';
import uPlot from 'uplot';
import * as schemes from 'd3-scale-chromatic';
import { formattedValueToString, getValueFormat } from '@grafana/data';
import { UPlotConfigBuilder, VizLayout } from '@grafana/ui';
import { Drawn, rowAxis, seriesOf, timeAxis, unseen } from './drawn.jsx';

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
  const paint = palette(panel.options ?? {}, series, theme);
  const gap = (panel.options?.cellGap ?? 1) * uPlot.pxRatio;
  const draw = (u, ctx) =>
    series.forEach(({ field, times }, row) => {
      const top = u.valToPos(series.length - row, 'y', true);
      const bottom = u.valToPos(series.length - row - 1, 'y', true);
      field.values.forEach((value, at) => {
        if (paint.hides(value)) return;
        // A rate at a moment is about the time before it.
        const step = times[1] - times[0];
        const left = u.valToPos(times[at] - step, 'x', true);
        const right = u.valToPos(times[at], 'x', true);
        ctx.fillStyle = paint.color(value);
        ctx.fillRect(
          left + gap / 2,
          top + gap / 2,
          Math.max(1, right - left - gap),
          bottom - top - gap,
        );
      });
    });
  const data = [series[0].times, ...series.map(({ field }) => field.values)];
  const show = panel.options?.legend?.show !== false;
  const legend = show ? scaleOf(paint) : null;
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
const TURNED =
  /^(Blues|Greens|Greys|Oranges|Purples|Reds|BuGn|BuPu|GnBu|OrRd|Pu.*|RdPu|YlGn.*|YlOr.*)$/;

function palette({ color: options = {}, cellValues = {} }, series, theme) {
  const {
    scheme = 'Oranges',
    mode = 'scheme',
    steps = 64,
    exponent = 0.5,
    reverse = false,
  } = options;
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
  // What a cell holds has a unit of its own, apart from the rows'.
  const format = getValueFormat(cellValues.unit ?? 'short');
  return {
    at,
    min,
    max,
    hides: (value) => value === null || Number.isNaN(value) || value <= 1e-9,
    color: (value) => at(Math.min(1, Math.max(0, max > min ? (value - min) / (max - min) : 1))),
    format: (value) => formattedValueToString(format(value, cellValues.decimals)),
  };
}

const hex = (byte) => byte.toString(16).padStart(2, '0');

// What the colours mean. VizLayout looks at the element itself, so this is no component.
function scaleOf(paint) {
  const stops = Array.from({ length: 33 }, (_, i) => paint.at(i / 32)).join(', ');
  return (
    <VizLayout.Legend placement="bottom">
      <div style={{ width: 240, margin: '4px 8px', fontSize: 12 }}>
        <div style={{ height: 8, background: `linear-gradient(90deg, ${stops})` }} />
        <div style={{ display: 'flex', justifyContent: 'space-between' }}>
          <span>{paint.format(paint.min)}</span>
          <span>{paint.format(paint.max)}</span>
        </div>
      </div>
    </VizLayout.Legend>
  );
}
