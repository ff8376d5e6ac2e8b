/** The OpenAI SDK with the reporter of clients/typescript. */
import { Reporter, reportingFetch } from 'brownout-reporter';

import { askGpt, BROWNOUT } from './calls.js';

const reporter = new Reporter({ url: BROWNOUT });
await askGpt({ fetch: reportingFetch(undefined, { reporter }) });
if (!(await reporter.flush())) throw new Error(JSON.stringify(reporter.stats));
