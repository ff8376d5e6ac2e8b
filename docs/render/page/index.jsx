// The page that shoot.js opens: asks Prometheus all that a dashboard asks, then draws it.

import React from 'react';
import { createRoot } from 'react-dom/client';
import { ThemeContext, createTheme, dateMath, dateTime, rangeUtil } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { Prometheus } from './prometheus.js';
import { interpolate, resolveVariables, shown, withIntervals } from './variables.js';
import { isRange, toFrames } from './frames.js';
import { configure, transform } from './fields.js';
import { APPROXIMATED, Picture } from './panels.jsx';

// Grafana's grid: 24 columns, rows of 30 pixels, gaps of 8.
const ROW = 30;
const GAP = 8;
const theme = createTheme({ colors: { mode: 'dark' } });

window.draw = async ({ dashboard, url, from, to, width, scrape, variables }) => {
  const range = timeRange(from, dashboard.time.to, to);
  const prometheus = new Prometheus(url, range);
  const scope = {};
  await resolveVariables(dashboard, prometheus, scope, variables);
  const context = { prometheus, range, scope, scrape, width };
  const annotations = await findAnnotations(dashboard, context);
  const panels = await Promise.all(visible(dashboard).map((panel) => prepare(panel, context)));
  const page = <Page {...{ dashboard, panels, range, width, scope, annotations }} />;
  createRoot(document.getElementById('root')).render(page);
  return panels.flatMap(findings);
};

// `now` is the moment the picture is of.
function timeRange(from, to, now) {
  const moment = (text) => {
    const parts = /^now(.*)$/.exec(text);
    return parts ? dateMath.parse(`${new Date(now).toISOString()}||${parts[1]}`) : dateTime(text);
  };
  return { from: moment(from), to: moment(to), raw: { from, to } };
}

// Panels of folded rows are drawn too, as if the rows had been opened.
function visible(dashboard) {
  let shift = 0;
  return dashboard.panels.flatMap((panel) => {
    const moved = (p) => ({ ...p, gridPos: { ...p.gridPos, y: p.gridPos.y + shift } });
    if (panel.type !== 'row' || !panel.collapsed) return [moved(panel)];
    const inside = panel.panels.map(moved);
    const bottom = Math.max(...panel.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
    const opened = [moved(panel), ...inside];
    shift += Math.max(0, bottom - panel.gridPos.y - 1);
    return opened;
  });
}

async function prepare(panel, { prometheus, range, scope, scrape, width }) {
  if (panel.type === 'row' || panel.type === 'text') return { panel, frames: [] };
  const points = panel.maxDataPoints ?? Math.round((panel.gridPos.w / 24) * width);
  const targets = panel.targets.filter((target) => !target.hide);
  try {
    const answers = await Promise.all(
      targets.map(async (target) => {
        const minimum = target.interval || panel.interval || scrape;
        const ticks = withIntervals(scope, range, points, minimum, scrape);
        const expr = interpolate(target.expr, ticks.scope);
        const result = await prometheus.query(expr, range, ticks.stepMs, !isRange(target));
        return toFrames(result, target, {
          alone: targets.length === 1,
          stepMs: ticks.stepMs,
          range,
        });
      }),
    );
    const frames = await transform(panel, answers.flat());
    return { panel, frames: configure(panel, frames, theme) };
  } catch (error) {
    return { panel, frames: [], error: String(error.message ?? error) };
  }
}

function findings({ panel, frames, error }) {
  const about = (text) => `${panel.id} ${panel.type} "${panel.title}": ${text}`;
  if (error) return [about(error)];
  if (panel.type === 'row' || panel.type === 'text') return [];
  if (frames.every((frame) => frame.length === 0)) return [about('no data')];
  const odd = frames.some((frame) =>
    frame.fields.some(({ values }) =>
      values.some((value) => typeof value === 'number' && !Number.isFinite(value)),
    ),
  );
  return odd ? [about('NaN or Inf')] : [];
}

async function findAnnotations(dashboard, { prometheus, range, scope }) {
  const asked = (dashboard.annotations?.list ?? []).filter(({ enable, expr }) => enable && expr);
  const found = await Promise.all(
    asked.map(async ({ expr, step, iconColor, filter }) => {
      // Prometheus answers with at most 11,000 points a series; Grafana then takes fewer.
      const fewest = Math.ceil((range.to.valueOf() - range.from.valueOf()) / 11_000_000) * 1000;
      const stepMs = Math.max(rangeUtil.intervalToMs(step || '60s'), fewest);
      const result = await prometheus.query(interpolate(expr, scope), range, stepMs, false);
      return result.flatMap(({ values }) =>
        stretches(values, stepMs / 1000, { color: iconColor, filter }),
      );
    }),
  );
  return found.flat();
}

function stretches(values, step, { color, filter }) {
  const found = [];
  for (const [at] of values) {
    const last = found.at(-1);
    if (last && last.to + step * 1000 >= at * 1000) last.to = at * 1000;
    else found.push({ from: at * 1000, to: at * 1000, color, filter });
  }
  return found;
}

function Page({ dashboard, panels, range, width, scope, annotations }) {
  const bottom = Math.max(...panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  const column = (width - GAP) / 24;
  const box = ({ x, y, w, h }) => ({
    position: 'absolute',
    left: GAP + x * column,
    top: y * (ROW + GAP),
    width: w * column - GAP,
    height: h * (ROW + GAP) - GAP,
  });
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ width, background: theme.colors.background.canvas, fontSize: 14 }}>
        <Head {...{ dashboard, range, scope }} />
        <div style={{ position: 'relative', height: bottom * (ROW + GAP) }}>
          {panels.map((prepared) => {
            const place = box(prepared.panel.gridPos);
            return (
              <div key={prepared.panel.id} id={`panel-${prepared.panel.id}`} style={place}>
                <Panel {...{ ...prepared, place, range, annotations }} />
              </div>
            );
          })}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

function Head({ dashboard, range, scope }) {
  const format = 'YYYY-MM-DD HH:mm';
  const faint = { color: theme.colors.text.secondary };
  const variables = Object.values(scope)
    .filter((known) => known.variable.type !== 'datasource' && known.variable.hide !== 2)
    .map((known) => `${known.variable.label || known.variable.name}: ${shown(known)}`);
  return (
    <div style={{ padding: 12, display: 'flex', gap: 24, alignItems: 'baseline' }}>
      <b style={{ fontSize: 18 }}>{dashboard.title}</b>
      <span>{variables.join(' · ')}</span>
      <span>{`${range.from.utc().format(format)} to ${range.to.utc().format(format)} UTC`}</span>
      <span style={{ ...faint, marginLeft: 'auto' }}>
        {'rendered with Grafana\u2019s UI components (* approximated)'}
      </span>
    </div>
  );
}

function Panel({ panel, frames, error, place, range, annotations }) {
  if (panel.type === 'row') {
    return <b style={{ fontSize: 16, lineHeight: `${place.height}px` }}>{panel.title}</b>;
  }
  const about = annotations.filter(
    ({ filter }) => !filter || filter.ids.includes(panel.id) !== Boolean(filter.exclude),
  );
  const title = APPROXIMATED.includes(panel.type) ? `${panel.title} *` : panel.title;
  return (
    <PanelChrome
      title={title}
      description={panel.description}
      width={place.width}
      height={place.height}
      statusMessage={error}
      displayMode={panel.transparent ? 'transparent' : 'default'}
    >
      {(width, height) => (
        <Picture {...{ panel, frames, range, annotations: about, width, height, theme }} />
      )}
    </PanelChrome>
  );
}
