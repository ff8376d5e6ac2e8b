// A panel's picture: Grafana's component where one is published, else plots.jsx.

import React from 'react';
import {
  VizOrientation,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  renderMarkdown,
} from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { withDefaults } from './fields.js';
import { BarChart } from './barchart.jsx';
import { Heatmap } from './heatmap.jsx';
import { StateTimeline } from './timeline.jsx';
import { Gauge } from './gauge.jsx';
import { Annotations } from './annotations.jsx';

export const APPROXIMATED = ['barchart', 'state-timeline', 'status-history', 'heatmap', 'gauge'];

const KINDS = {
  timeseries: Lines,
  stat: Stat,
  gauge: Gauges,
  bargauge: BarGauges,
  table: Table,
  text: Text,
  barchart: BarChart,
  'state-timeline': StateTimeline,
  'status-history': StateTimeline,
  heatmap: Heatmap,
};

export function Picture(props) {
  const Kind = KINDS[props.panel.type];
  if (!Kind) throw new Error(`no picture for panels of type ${props.panel.type}`);
  if (props.panel.type !== 'text' && props.frames.every((frame) => frame.length === 0)) {
    return <NoData panel={props.panel} height={props.height} theme={props.theme} />;
  }
  return <Kind {...props} />;
}

function NoData({ panel, height, theme }) {
  const text = panel.fieldConfig?.defaults?.noValue ?? 'No data';
  const centre = { display: 'flex', height, alignItems: 'center', justifyContent: 'center' };
  return <div style={{ ...centre, color: theme.colors.text.secondary }}>{text}</div>;
}

function Lines({ panel, frames, range, width, height, annotations }) {
  const legend = { displayMode: 'list', placement: 'bottom', calcs: [], showLegend: true };
  return (
    <TimeSeries
      frames={frames}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={{ ...legend, ...panel.options?.legend }}
      structureRev={1}
    >
      {(config) => <Annotations config={config} found={annotations} range={range} />}
    </TimeSeries>
  );
}

function displayValues({ panel, frames, range, theme }, sparkline) {
  const values = getFieldDisplayValues({
    fieldConfig: withDefaults(panel),
    reduceOptions: { calcs: ['lastNotNull'], values: false, ...panel.options?.reduceOptions },
    replaceVariables: (text) => text,
    theme,
    data: frames,
    sparkline,
    timeZone: 'utc',
  });
  values.forEach((value) => value.sparkline && (value.sparkline.timeRange = range));
  return values;
}

function orientation(panel, { width, height }) {
  const wanted = panel.options?.orientation ?? 'auto';
  if (wanted !== 'auto') return wanted;
  return width > height ? VizOrientation.Vertical : VizOrientation.Horizontal;
}

function Stat(props) {
  const { panel, width, height, theme } = props;
  const {
    colorMode = 'value',
    graphMode = 'area',
    justifyMode = 'auto',
    wideLayout = true,
  } = panel.options;
  const values = displayValues(props, graphMode !== 'none');
  const one = ({ value, width: w, height: h, alignmentFactors }) => (
    <BigValue
      width={w}
      height={h}
      theme={theme}
      value={value.display}
      count={values.length}
      sparkline={graphMode === 'none' ? undefined : value.sparkline}
      colorMode={colorMode}
      graphMode={graphMode}
      justifyMode={justifyMode}
      textMode={panel.options.textMode ?? 'auto'}
      text={panel.options.text}
      alignmentFactors={alignmentFactors}
      disableWideLayout={!wideLayout}
    />
  );
  return <Repeated {...{ panel, values, width, height }} renderValue={one} />;
}

function BarGauges(props) {
  const { panel, width, height, theme } = props;
  const {
    displayMode = 'gradient',
    showUnfilled = true,
    valueMode,
    namePlacement,
    text,
  } = panel.options;
  const direction = orientation(panel, props);
  const values = displayValues(props);
  const one = ({ value, width: w, height: h, alignmentFactors }) => (
    <BarGauge
      width={w}
      height={h}
      theme={theme}
      value={value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
      text={text}
      orientation={direction}
      displayMode={displayMode}
      showUnfilled={showUnfilled}
      valueDisplayMode={valueMode}
      namePlacement={namePlacement}
      alignmentFactors={alignmentFactors}
      itemSpacing={8}
      lcdCellWidth={12}
    />
  );
  return <Repeated {...{ panel, values, width, height }} renderValue={one} itemSpacing={8} />;
}

function Gauges(props) {
  const { panel, width, height, theme } = props;
  const values = displayValues(props);
  const one = ({ value, width: w, height: h }) => (
    <Gauge width={w} height={h} theme={theme} value={value.display} field={value.field} />
  );
  return <Repeated {...{ panel, values, width, height }} renderValue={one} />;
}

function Repeated({ panel, values, width, height, renderValue, itemSpacing = 3 }) {
  return (
    <VizRepeater
      width={width}
      height={height}
      itemSpacing={itemSpacing}
      orientation={panel.options.orientation ?? 'auto'}
      source={1}
      renderCounter={0}
      getValues={() => values}
      renderValue={renderValue}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
    />
  );
}

function Table({ panel, frames, width, height, range }) {
  return (
    <TableNG
      data={frames[0]}
      width={width}
      height={height}
      timeRange={range}
      noHeader={panel.options?.showHeader === false}
      sortBy={panel.options?.sortBy}
      cellHeight={panel.options?.cellHeight}
      enableVirtualization={false}
      structureRev={1}
      fieldConfig={withDefaults(panel)}
      getActions={() => []}
    />
  );
}

function Text({ panel }) {
  const html = renderMarkdown(panel.options?.content ?? '');
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}
