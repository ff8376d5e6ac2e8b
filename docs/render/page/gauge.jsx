// A gauge: an approximation, since Grafana's is not published. An arc in the value's colour.

import React from 'react';
import { formattedValueToString } from '@grafana/data';

const FROM = -210;
const SWEEP = 240;

export function Gauge({ width, height, theme, value, field }) {
  const { min = 0, max = 100 } = field;
  const share = Math.min(1, Math.max(0, (value.numeric - min) / (max - min)));
  const radius = Math.min(width / 2, height / 1.6) - 12;
  const centre = [width / 2, radius + 10];
  const arc = (part) => {
    const at = (degrees) =>
      [Math.cos, Math.sin]
        .map((f, i) => centre[i] + radius * f((degrees * Math.PI) / 180))
        .join(' ');
    const large = SWEEP * part > 180 ? 1 : 0;
    return `M ${at(FROM)} A ${radius} ${radius} 0 ${large} 1 ${at(FROM + SWEEP * part)}`;
  };
  const stroke = { fill: 'none', strokeWidth: radius / 5 };
  return (
    <svg width={width} height={height}>
      <path d={arc(1)} stroke={theme.colors.background.secondary} {...stroke} />
      <path d={arc(share)} stroke={value.color} {...stroke} />
      <text
        x={centre[0]}
        y={centre[1]}
        fill={value.color}
        fontSize={radius / 2.5}
        textAnchor="middle"
        dominantBaseline="middle"
      >
        {formattedValueToString(value)}
      </text>
      <text
        x={centre[0]}
        y={height - 6}
        fill={theme.colors.text.primary}
        fontSize={14}
        textAnchor="middle"
      >
        {value.title}
      </text>
    </svg>
  );
}
