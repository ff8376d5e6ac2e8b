/** The AI SDK with its provider for OpenAI, its own telemetry and spans of the HTTP client below. */
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';

import { askOpenAiWithAiSdk } from './calls.js';
import { close } from './spans.js';

new UndiciInstrumentation().enable();
const telemetry = { isEnabled: true, recordInputs: false, recordOutputs: false };
await askOpenAiWithAiSdk({ experimental_telemetry: telemetry });
await close();
