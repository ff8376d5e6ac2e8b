/** The AI SDK with its own telemetry. */
import { askWithAiSdk } from './calls.js';
import { close } from './spans.js';

const telemetry = { isEnabled: true, recordInputs: false, recordOutputs: false };
await askWithAiSdk({ experimental_telemetry: telemetry });
await close();
