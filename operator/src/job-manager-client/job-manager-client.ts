import { authorizeRestCall, type Credentials } from '@flinkjob/runtime/credentials';
import {
  type ErrorInfo,
  JobError,
  type JobStatusDocument,
  type SavepointDisposalRequest,
  type SavepointRequest,
  type StopRequest,
} from '@flinkjob/runtime/rest';
import type { JobClient } from '../engine/engine.ts';

/** A JobManager that needs longer counts as silent; the controller asks again. */
const requestTimeoutMs = 3_000;
/** A status document of a job with thousands of vertices stays far below. */
const answerSizeBytesMax = 16 * 1024 * 1024;

/**
 * REST of one JobManager. Every failure is a `JobError`: `JobManagerUnreachable` when nothing (or nothing in time) came back and the
 * request may or may not have arrived, else what the JobManager answered.
 */
export class JobManagerClient {
  readonly #address: string;
  readonly #credentials: Credentials | undefined;
  readonly #mayCommand: () => boolean;
  #jobId: string | undefined;

  /** What changes something is signed with the credentials, where there are any. A runtime that is older than they are does not look at it. */
  constructor(address: string, credentials?: Credentials, mayCommand = () => true) {
    this.#address = address;
    this.#credentials = credentials;
    this.#mayCommand = mayCommand;
  }

  async readStatus(): Promise<JobStatusDocument> {
    const document = (await this.#request('GET', '/v1/status')) as JobStatusDocument;
    if (document?.format !== 1) {
      throw new JobError(`the JobManager at ${this.#address} answers with a status document of format ${document?.format}`, {
        domain: 'external',
        retry: 'backoff',
        code: 'StatusFormatUnknown',
        remedy: 'Use an operator that is at least as new as the runtime.',
      });
    }
    this.#jobId = document.jobId;
    return document;
  }

  async savepoint(
    operationId: string,
    { stateFormat, reason }: Parameters<JobClient['savepoint']>[1] & object = {},
  ): Promise<void> {
    const body: SavepointRequest = { operationId, ...formatType(stateFormat), ...(reason === undefined ? {} : { reason }) };
    await this.#request('POST', `/jobs/${await this.#job()}/savepoints`, body);
  }

  async releaseSavepoint(operationId: string, location: string): Promise<void> {
    const body: SavepointDisposalRequest = { operationId, 'savepoint-path': location };
    await this.#request('POST', '/savepoint-disposal', body);
  }

  async stop(request: Parameters<JobClient['stop']>[0]): Promise<void> {
    // Only these fields: the server refuses what it does not know.
    const { operationId, deadlineSeconds, stateFormat } = request;
    const body: StopRequest = { operationId, deadlineSeconds, ...formatType(stateFormat) };
    await this.#request('POST', `/jobs/${await this.#job()}/stop`, body);
  }

  async cancel(operationId: string): Promise<void> {
    await this.#request('PATCH', `/jobs/${await this.#job()}?mode=cancel`, { operationId });
  }

  async #job(): Promise<string> {
    return encodeURIComponent(this.#jobId ?? (await this.readStatus()).jobId);
  }

  #headers(method: string, path: string, body: string | undefined): Record<string, string> {
    return {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(method === 'GET' || this.#credentials === undefined
        ? {}
        : { authorization: authorizeRestCall(this.#credentials, { method, path, body: body ?? '' }) }),
    };
  }

  async #request(method: 'GET' | 'POST' | 'PATCH', path: string, document?: object): Promise<unknown> {
    const body = document === undefined ? undefined : JSON.stringify(document);
    if (method !== 'GET' && !this.#mayCommand()) {
      throw notLeadingError(`${method} ${path} at ${this.#address}`);
    }
    let status: number;
    let text: string;
    try {
      const response = await fetch(`http://${this.#address}${path}`, {
        method,
        headers: this.#headers(method, path, body),
        body: body ?? null,
        signal: AbortSignal.timeout(requestTimeoutMs),
      });
      status = response.status;
      text = await readText(response);
    } catch (cause) {
      throw unreachableError(this.#address, cause);
    }
    if (status >= 400) {
      throw answerError({ status, text, request: `${method} ${path}` });
    }
    return parseJson(text);
  }
}

/** Flink's word; left out for what is the default. */
function formatType(stateFormat: 'Native' | 'Canonical' | undefined): { readonly formatType?: 'CANONICAL' } {
  return stateFormat === 'Canonical' ? { formatType: 'CANONICAL' } : {};
}

/** Gives up at the limit, not behind it: whatever answers at this address may send without end. */
async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > answerSizeBytesMax) {
      throw new Error(`the answer is longer than ${answerSizeBytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function notLeadingError(request: string): JobError {
  return new JobError(`${request}: not sent, because another replica may be the leader by now`, {
    domain: 'external',
    retry: 'backoff',
    code: 'NotLeading',
  });
}

function unreachableError(address: string, cause: unknown): JobError {
  const why = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : String(cause);
  return new JobError(`the JobManager at ${address} does not answer: ${why}`, {
    domain: 'external',
    retry: 'backoff',
    code: 'JobManagerUnreachable',
    cause,
  });
}

/** Both ours, `{ error: ErrorInfo }`, and Flink's, `{ errors: [text] }`. */
function answerError(answer: { readonly status: number; readonly text: string; readonly request: string }): JobError {
  const { status, text, request } = answer;
  const body = parseJson(text) as { readonly error?: Partial<ErrorInfo>; readonly errors?: readonly string[] } | undefined;
  const info = body?.error;
  // Ours says what and where by itself; anything else needs the request to be understood.
  const message = info?.message ?? `${request}: ${body?.errors?.join('; ') ?? `HTTP status ${status}`}`;
  return new JobError(message, {
    domain: info?.domain ?? 'external',
    // A server that is in trouble may recover; a request that was refused stays refused.
    retry: info?.retry ?? (status >= 500 || status === 404 || status === 429 ? 'backoff' : 'never'),
    code: info?.code ?? `Http${status}`,
    remedy: info?.remedy,
  });
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
