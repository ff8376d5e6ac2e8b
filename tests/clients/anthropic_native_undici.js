/** The Anthropic SDK's own spans, and those of Node.js's HTTP client below. */
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';

import { askClaude } from './calls.js';
import { close } from './spans.js';

new UndiciInstrumentation().enable();
await askClaude();
await close();
