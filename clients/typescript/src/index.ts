/** Reports what LLM providers answer to a brownout daemon. */
export type { IntermediaryPage, Outcome, TransportError } from './outcome.js';
export { reportingFetch, type ReportingFetchOptions } from './fetch.js';
export {
  defaultReporter,
  Reporter,
  type ReporterOptions,
  type ReporterStats,
} from './reporter.js';
