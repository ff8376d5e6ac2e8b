// The few calls of Prometheus's API that a dashboard makes.

export class Prometheus {
  constructor(url, range) {
    this.url = url;
    this.range = range;
  }

  async get(path, params) {
    const answer = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(params)}`);
    const body = await answer.json();
    if (body.status !== 'success') throw new Error(body.error);
    return body.data;
  }

  async labelValues(selector, label) {
    const { from, to } = this.range;
    const params = { start: from.unix(), end: to.unix() };
    if (selector) params['match[]'] = selector;
    return this.get(`label/${label}/values`, params);
  }

  // Always the shape of a matrix: what is asked for one moment has one value.
  async query(expr, range, stepMs, instant) {
    if (instant) {
      const { result } = await this.get('query', { query: expr, time: range.to.unix() });
      return result.map(({ metric, value }) => ({ metric, values: [value] }));
    }
    const step = stepMs / 1000;
    const start = Math.floor(range.from.unix() / step) * step;
    const end = Math.floor(range.to.unix() / step) * step;
    return (await this.get('query_range', { query: expr, start, end, step })).result;
  }
}
