/** The AI SDK with its own telemetry, and spans of Node.js's HTTP client below. */
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';

import { askWithAiSdk } from './calls.js';
import { close } from './spans.js';

new UndiciInstrumentation().enable();
const telemetry = { isEnabled: true, recordInputs: false, recordOutputs: false };
await askWithAiSdk({ experimental_telemetry: telemetry });
await close();
