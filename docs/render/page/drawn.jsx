// What the approximations share: rectangles on Grafana's own axes (UPlotConfigBuilder).
//
// Bar chart, state timeline and heatmap are panel plugins, which are not published. They are drawn
// here with the colours, units and thresholds of the fields.

import React from 'react';
import { FieldType, getFieldDisplayName } from '@grafana/data';
import { UPlotChart, VizLayout, VizLegend, measureText } from '@grafana/ui';

export const HORIZONTAL = { orientation: 0, direction: 1 };
export const VERTICAL = { orientation: 1, direction: 1 };

export function Drawn({ builder, data, width, height, legend, draw }) {
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

export function legendOf(options, items) {
  if (options?.legend?.showLegend === false || items.length === 0) return null;
  return (
    <VizLayout.Legend placement="bottom">
      <VizLegend placement="bottom" displayMode="list" items={items} />
    </VizLayout.Legend>
  );
}

export const unseen = (theme) => ({
  theme,
  pathBuilder: () => null,
  pointsBuilder: () => undefined,
  scaleKey: 'y',
});

export function timeAxis(builder, range, theme) {
  const bounds = () => [range.from.valueOf(), range.to.valueOf()];
  builder.addScale({ scaleKey: 'x', isTime: true, ...HORIZONTAL, range: bounds });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: 'bottom', timeZone: 'utc', theme });
}

// Rows with names, from the top down; a name stands at `place` of its row, 0.5 being the middle.
export function rowAxis(builder, names, theme, place) {
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
export const seriesOf = (frames) =>
  frames.flatMap((frame) => {
    const times = frame.fields.find((field) => field.type === FieldType.time)?.values;
    return frame.fields
      .filter((field) => field.type === FieldType.number)
      .map((field) => ({ field, times, name: getFieldDisplayName(field, frame, frames) }));
  });
