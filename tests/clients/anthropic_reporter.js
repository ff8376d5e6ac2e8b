/** The Anthropic SDK with the reporter of clients/typescript. */
import { Reporter, reportingFetch } from 'brownout-reporter';

import { askClaude, BROWNOUT } from './calls.js';

const reporter = new Reporter({ url: BROWNOUT });
await askClaude({ fetch: reportingFetch(undefined, { reporter }) });
if (!(await reporter.flush())) throw new Error(JSON.stringify(reporter.stats));
