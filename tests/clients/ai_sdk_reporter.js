/** The AI SDK with the reporter of clients/typescript. */
import { Reporter, reportingFetch } from 'brownout-reporter';

import { askWithAiSdk, BROWNOUT } from './calls.js';

const reporter = new Reporter({ url: BROWNOUT });
await askWithAiSdk({ fetch: reportingFetch(undefined, { reporter }) });
if (!(await reporter.flush())) throw new Error(JSON.stringify(reporter.stats));
