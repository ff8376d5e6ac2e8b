/** Sends what is traced to brownout over OTLP; `close` sends what is left. */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

import { BROWNOUT } from './calls.js';

const exporter = new OTLPTraceExporter({ url: `${BROWNOUT}/v1/traces` });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
provider.register();

export const close = () => provider.shutdown();
