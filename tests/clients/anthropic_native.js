/** The Anthropic SDK and the spans that it makes itself. */
import { askClaude } from './calls.js';
import { close } from './spans.js';

await askClaude();
await close();
