// A bar chart, upright: an approximation.

import React from 'react';
import {
  FieldType,
  formattedValueToString,
  getFieldDisplayName,
  getFieldSeriesColor,
} from '@grafana/data';
import { UPlotConfigBuilder, buildScaleKey } from '@grafana/ui';
import { Drawn, HORIZONTAL, VERTICAL, legendOf, unseen } from './drawn.jsx';

export function BarChart({ panel, frames, width, height, theme }) {
  const frame = frames[0];
  const x =
    frame.fields.find(
      (field) => getFieldDisplayName(field, frame, frames) === panel.options.xField,
    ) ??
    frame.fields.find((field) => field.type === FieldType.string || field.type === FieldType.time);
  const bars = frame.fields.filter((field) => field !== x && field.type === FieldType.number);
  const builder = new UPlotConfigBuilder('utc');
  const count = x.values.length;
  builder.addScale({ scaleKey: 'x', ...HORIZONTAL, range: () => [-0.5, count - 0.5] });
  const labels = x.values.map((value) => formattedValueToString(x.display(value)));
  const every = Math.ceil(count / Math.max(1, Math.floor(width / 48)));
  builder.addAxis({
    scaleKey: 'x',
    placement: 'bottom',
    theme,
    grid: { show: false },
    ticks: { show: false },
    splits: labels.map((_, at) => at),
    values: labels.map((label, at) => (at % every ? '' : label)),
  });
  const scaleKey = buildScaleKey(bars[0].config, FieldType.number);
  bars.forEach((field) => valueAxis(builder, field, scaleKey, theme));
  const stacked = panel.options.stacking === 'normal';
  const colors = bars.map((field) => getFieldSeriesColor(field, theme).color);
  const share = panel.options.groupWidth ?? 0.7;
  const draw = (u, ctx) =>
    x.values.forEach((_, at) => {
      let below = 0;
      bars.forEach((field, nth) => {
        const value = field.values[at] ?? 0;
        const thick = stacked ? share : share / bars.length;
        const from = stacked ? at - share / 2 : at - share / 2 + nth * thick;
        const gap = stacked ? 0 : (thick * (1 - (panel.options.barWidth ?? 0.97))) / 2;
        const left = u.valToPos(from + gap, 'x', true);
        const top = u.valToPos(below + value, scaleKey, true);
        ctx.fillStyle =
          field.config.color?.mode === 'thresholds' ? field.display(value).color : colors[nth];
        ctx.globalAlpha = (field.config.custom?.fillOpacity ?? 80) / 100;
        ctx.fillRect(
          left,
          top,
          u.valToPos(from + thick - gap, 'x', true) - left,
          u.valToPos(below, scaleKey, true) - top,
        );
        if (stacked) below += value;
      });
    });
  const items = bars.map((field, nth) => ({
    label: getFieldDisplayName(field, frame, frames),
    color: colors[nth],
    yAxis: 1,
  }));
  const data = [x.values.map((_, at) => at), ...stackedValues(bars, stacked)];
  const legend = legendOf(panel.options, items);
  return <Drawn {...{ builder, data, width, height, legend, draw }} />;
}

// What the scale must hold: sums where bars stand upon each other.
function stackedValues(bars, stacked) {
  const sums = new Array(bars[0].values.length).fill(0);
  return bars.map((field) =>
    stacked ? field.values.map((value, at) => (sums[at] += value ?? 0)) : field.values,
  );
}

function valueAxis(builder, field, scaleKey, theme) {
  const { min, max, decimals, thresholds, custom } = field.config;
  builder.addScale({
    scaleKey,
    ...VERTICAL,
    min,
    max,
    decimals,
    softMin: custom?.axisSoftMin ?? 0,
    softMax: custom?.axisSoftMax,
  });
  const formatValue = (v, digits) => formattedValueToString(field.display(v, decimals ?? digits));
  builder.addAxis({ scaleKey, placement: 'left', theme, formatValue, label: custom?.axisLabel });
  builder.addSeries({ ...unseen(theme), scaleKey });
  const style = custom?.thresholdsStyle;
  if (style && style.mode !== 'off') {
    builder.addThresholds({
      config: style,
      thresholds,
      scaleKey,
      theme,
      hardMin: min,
      hardMax: max,
    });
  }
}
