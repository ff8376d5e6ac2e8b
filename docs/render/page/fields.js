// Field configuration: units, decimals, thresholds, mappings and overrides, applied by Grafana.
//
// The list of options that a panel understands lives in the panel plugins, which are not published;
// here every option that a dashboard sets is understood.

import {
  FieldConfigOptionsRegistry,
  FieldType,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

const STANDARD = [
  'unit',
  'decimals',
  'min',
  'max',
  'noValue',
  'displayName',
  'links',
  'mappings',
  'thresholds',
  'color',
  'filterable',
  'description',
  'fieldMinMax',
];

const OF_NUMBERS = ['unit', 'decimals', 'min', 'max', 'fieldMinMax'];

// What the plugins set where a dashboard is silent.
const DEFAULTS = {
  timeseries: {
    color: { mode: 'palette-classic' },
    custom: {
      drawStyle: 'line',
      lineInterpolation: 'linear',
      lineWidth: 1,
      fillOpacity: 0,
      gradientMode: 'none',
      showPoints: 'auto',
      pointSize: 5,
      axisPlacement: 'auto',
      axisGridShow: true,
      barWidthFactor: 0.6,
      barAlignment: 0,
    },
  },
  barchart: { color: { mode: 'palette-classic' }, custom: { fillOpacity: 80 } },
  'state-timeline': { color: { mode: 'thresholds' }, custom: { fillOpacity: 70 } },
  'status-history': { color: { mode: 'thresholds' }, custom: { fillOpacity: 70 } },
  other: { color: { mode: 'thresholds' }, custom: {} },
};
const THRESHOLDS = {
  mode: 'absolute',
  steps: [
    { color: 'green', value: null },
    { color: 'red', value: 80 },
  ],
};

for (const transformer of Object.values(standardTransformers)) {
  if (standardTransformersRegistry.getIfExists(transformer.id)) continue;
  standardTransformersRegistry.register({
    id: transformer.id,
    name: transformer.name,
    transformation: () => Promise.resolve(transformer),
  });
}

export async function transform(panel, frames) {
  for (const { id } of panel.transformations ?? []) {
    if (!standardTransformersRegistry.getIfExists(id)) throw new Error(`no transformation ${id}`);
  }
  const options = structuredClone(panel.transformations ?? []);
  return lastValueFrom(transformDataFrame(options, frames));
}

export function configure(panel, frames, theme) {
  const fieldConfig = withDefaults(panel);
  const configured = applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: registryFor(fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  // A column's older name for being hidden; the table's plugin translates it.
  for (const { config } of configured.flatMap((frame) => frame.fields)) {
    if (config.custom?.hidden) config.custom.hideFrom = { viz: true };
  }
  cacheFieldDisplayNames(configured);
  return configured;
}

export function withDefaults(panel) {
  const ours = DEFAULTS[panel.type] ?? DEFAULTS.other;
  const theirs = structuredClone(panel.fieldConfig?.defaults ?? {});
  const defaults = {
    thresholds: structuredClone(THRESHOLDS),
    ...ours,
    ...theirs,
    custom: { ...ours.custom, ...theirs.custom },
  };
  // JSON has no infinity; Grafana writes the lowest step as null.
  const steps = defaults.thresholds?.steps ?? [];
  steps.forEach((step) => (step.value ??= -Infinity));
  const overrides = structuredClone(panel.fieldConfig?.overrides ?? []);
  for (const { id, value } of overrides.flatMap((rule) => rule.properties)) {
    if (id === 'thresholds') value.steps.forEach((step) => (step.value ??= -Infinity));
  }
  return { defaults, overrides };
}

function registryFor({ defaults, overrides }) {
  const set = overrides.flatMap((rule) => rule.properties.map(({ id }) => id));
  const custom = [
    ...Object.keys(defaults.custom).map((name) => `custom.${name}`),
    ...set.filter((id) => id.startsWith('custom.')),
  ];
  const items = [...STANDARD, ...new Set(custom)].map((id) => ({
    id,
    path: id.replace(/^custom\./, ''),
    name: id,
    isCustom: id.startsWith('custom.'),
    process: (value) => value,
    shouldApply: (field) => field.type === FieldType.number || !OF_NUMBERS.includes(id),
  }));
  return new FieldConfigOptionsRegistry(() => items);
}
