// Annotations over a time series: a dashed line where one begins, a tint while it lasts.

import { useLayoutEffect } from 'react';

export function Annotations({ config, found, range }) {
  useLayoutEffect(() => {
    config.addHook('draw', (u) => {
      const { left, top, width, height } = u.bbox;
      const place = (at) => u.valToPos(Math.max(at, range.from.valueOf()), 'x', true);
      u.ctx.save();
      for (const { from, to, color } of found) {
        const begin = place(from);
        const end = Math.min(place(to), left + width);
        u.ctx.fillStyle = u.ctx.strokeStyle = color;
        u.ctx.globalAlpha = 0.08;
        u.ctx.fillRect(begin, top, end - begin, height);
        u.ctx.globalAlpha = 0.9;
        u.ctx.setLineDash([4, 4]);
        u.ctx.beginPath();
        u.ctx.moveTo(begin, top);
        u.ctx.lineTo(begin, top + height);
        u.ctx.stroke();
        u.ctx.fillRect(begin, top + height, Math.max(4, end - begin), 4);
      }
      u.ctx.restore();
    });
  }, [config, found, range]);
  return null;
}
