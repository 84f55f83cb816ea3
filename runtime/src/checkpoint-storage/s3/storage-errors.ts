import { StorageError } from '../checkpoint-storage.ts';

/** What a failed try says: whether it can have had its effect, whether to try again at once, and what to tell people. */
export interface S3Failure {
  readonly applied: 'No' | 'Unknown';
  readonly retryable: boolean;
  /** Whether time heals it, or somebody who changes nothing of the job. */
  readonly mayHeal: boolean;
  readonly text: string;
}

interface Explanation {
  readonly text: string;
  readonly retryable?: true;
  readonly mayHeal?: true;
  readonly applied?: 'Unknown';
}

const credentials = 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role that this process runs with';

/** Answers of S3, and of the SDK before it asks, by their names: what surely had no effect, unless it says `applied`. */
const explanations: Readonly<Record<string, Explanation>> = {
  NoSuchBucket: { text: 'the bucket does not exist; create it, or name another one in checkpointStorage' },
  InvalidBucketName: { text: 'the bucket cannot be called like that' },
  AccessDenied: {
    text: 'access denied; give this identity the permissions of docs/checkpoint-storage.md (without s3:ListBucket a missing object is refused too)',
    mayHeal: true,
  },
  AllAccessDisabled: { text: 'all access to the bucket is disabled', mayHeal: true },
  InvalidAccessKeyId: { text: `the access key is not known; ${credentials}`, mayHeal: true },
  SignatureDoesNotMatch: { text: `the secret key does not fit the access key; ${credentials}`, mayHeal: true },
  InvalidToken: { text: `the session token is not valid; ${credentials}`, mayHeal: true },
  CredentialsProviderError: { text: `no credentials were found; ${credentials}`, mayHeal: true },
  TokenProviderError: { text: `no credentials were found; ${credentials}`, mayHeal: true },
  // The SDK fetches new ones for the next try.
  ExpiredToken: { text: `the credentials have expired; ${credentials}`, retryable: true },
  ExpiredTokenException: { text: `the credentials have expired; ${credentials}`, retryable: true },
  // The SDK learns the difference from the answer and signs the next try with it.
  RequestTimeTooSkewed: { text: 'the clock of this machine is wrong by minutes', retryable: true },
  PermanentRedirect: { text: 'the bucket is in another region; set AWS_REGION to that of the bucket' },
  AuthorizationHeaderMalformed: { text: 'the region is not that of the bucket; set AWS_REGION' },
  IllegalLocationConstraintException: { text: 'the bucket is in another region; set AWS_REGION to that of the bucket' },
  // Somebody else's request for the same name was under way.
  ConditionalRequestConflict: { text: 'another request for the same object is under way', retryable: true },
  OperationAborted: { text: 'another request for the same object is under way', retryable: true },
  BadDigest: { text: 'the content was damaged on the way to the server', retryable: true },
  XAmzContentChecksumMismatch: { text: 'the content was damaged on the way to the server', retryable: true },
  IncompleteBody: { text: 'the content was cut on the way to the server', retryable: true },
  SlowDown: { text: 'the server asks for fewer requests', retryable: true, applied: 'Unknown' },
  RequestTimeout: { text: 'the server waited in vain for the rest of the request', retryable: true, applied: 'Unknown' },
  NotImplemented: { text: 'the server does not support a request that checkpoints need' },
  ObjectParentIsFile: { text: 'a part of the path is an object: no object may be called like the folder of another' },
  ExistingObjectIsDirectory: { text: 'it is a folder already: no object may be called like the folder of another' },
  QuotaExceeded: { text: 'the quota of the bucket is used up; free some space or raise it', mayHeal: true },
  XMinioStorageFull: { text: 'the disks of the server are full; free some space', mayHeal: true },
};

/** Of the system, on the way to the server. What failed before the connection stood had surely no effect. */
const networkExplanations: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: { text: 'nobody listens there', retryable: true },
  ENOTFOUND: { text: "the server's name is not known; check AWS_ENDPOINT_URL_S3 and AWS_REGION", retryable: true },
  EAI_AGAIN: { text: "the server's name could not be looked up", retryable: true },
  EHOSTUNREACH: { text: 'no way to the server', retryable: true },
  ENETUNREACH: { text: 'no way to the server', retryable: true },
  DEPTH_ZERO_SELF_SIGNED_CERT: { text: certificate('is signed by itself') },
  SELF_SIGNED_CERT_IN_CHAIN: { text: certificate('has a signer that is not known') },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { text: certificate('has a signer that is not known') },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: { text: certificate('has a signer that is not known') },
  ERR_TLS_CERT_ALTNAME_INVALID: { text: certificate('is for another name') },
  CERT_HAS_EXPIRED: { text: certificate('has expired'), mayHeal: true },
  ECONNRESET: { text: 'the connection was reset', retryable: true, applied: 'Unknown' },
  EPIPE: { text: 'the connection was closed', retryable: true, applied: 'Unknown' },
};

function certificate(problem: string): string {
  return `the certificate of the server ${problem}; name its authority in NODE_EXTRA_CA_CERTS`;
}

/** `error` is what the SDK threw for one try. */
export function describeFailure(error: unknown): S3Failure {
  const { name, status, systemCode, message } = readError(error);
  const known = explanations[name] ?? networkExplanations[systemCode] ?? byStatus(status, name);
  if (known !== undefined) {
    return {
      applied: known.applied ?? 'No',
      retryable: known.retryable ?? false,
      mayHeal: known.mayHeal ?? false,
      text: `${known.text} (${detail(error)})`,
    };
  }
  if (isConnectTimeout(error)) {
    return { applied: 'No', retryable: true, mayHeal: false, text: 'the server could not be reached in time' };
  }
  if (message.startsWith('Region is missing')) {
    return { applied: 'No', retryable: false, mayHeal: false, text: 'the region is not known; set AWS_REGION' };
  }
  const isRefusal = status !== undefined && status >= 400 && status < 500;
  // Also 5xx, and what was no answer of S3 at all: it may have been done nevertheless.
  return {
    applied: isRefusal ? 'No' : 'Unknown',
    retryable: !isRefusal,
    mayHeal: false,
    text: `${isSilence(error) ? 'there was no answer in time' : message} (${detail(error)})`,
  };
}

function byStatus(status: number | undefined, name: string): Explanation | undefined {
  // A HEAD has no body that could say which.
  if (status === 403) {
    return explanations['AccessDenied'];
  }
  if (name.startsWith('KMS')) {
    return { text: 'the key that encrypts the bucket cannot be used', mayHeal: true };
  }
  return status === 503 || status === 429 ? explanations['SlowDown'] : undefined;
}

interface S3ErrorFacts {
  readonly name: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly systemCode: string;
  readonly message: string;
}

function readError(error: unknown): S3ErrorFacts {
  const { name, message, code, cause, $metadata } = error as Error & {
    readonly code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  };
  const causeCode = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return {
    name: typeof name === 'string' ? name : '',
    status: $metadata?.httpStatusCode,
    requestId: $metadata?.requestId,
    systemCode: String(code ?? causeCode ?? ''),
    message: typeof message === 'string' && message !== '' ? message : String(error),
  };
}

/** What to show to whoever runs the server. */
function detail(error: unknown): string {
  const { name, status, requestId, systemCode } = readError(error);
  const parts = [
    status === undefined && systemCode !== '' ? systemCode : name,
    ...(status === undefined ? [] : [`HTTP ${status}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return parts.join(', ');
}

export function hasErrorName(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/** Of a conditional put: somebody was first. Servers differ in the name, not in the status. */
export function isPreconditionFailed(error: unknown): boolean {
  return error instanceof Error && readError(error).status === 412;
}

/** No such object. A missing bucket is another matter, and a HEAD cannot tell the two apart. */
export function isMissing(error: unknown): boolean {
  return hasErrorName(error, 'NoSuchKey', 'NotFound');
}

function isSilence(error: unknown): boolean {
  return hasErrorName(error, 'AbortError', 'TimeoutError');
}

function isConnectTimeout(error: unknown): boolean {
  return hasErrorName(error, 'TimeoutError') && /did not establish a connection/.test((error as Error).message);
}

export interface RequestContext {
  readonly action:
    | 'write'
    | 'read'
    | 'list'
    | 'delete'
    | 'copy'
    | 'begin the upload of'
    | 'complete the upload of'
    | 'abort the upload of';
  /** Of one object, or a prefix. */
  readonly key: string;
  readonly bucket: string;
  /** For people. */
  readonly endpoint: string;
}

/** `outcome` takes the tries before this one into account. */
export function toStorageError(error: unknown, context: RequestContext, outcome: 'NotApplied' | 'Unknown'): StorageError {
  if (error instanceof StorageError) {
    return error;
  }
  const { text, retryable, mayHeal } = describeFailure(error);
  const { action, bucket, key, endpoint } = context;
  return new StorageError(`could not ${action} s3://${bucket}/${key} at ${endpoint}: ${text}`, {
    outcome,
    retryable,
    mayHeal,
    cause: withoutSecrets(error),
  });
}

/** The SDK's errors carry the request, with its headers. */
function withoutSecrets(error: unknown): Error {
  const { name, message } = readError(error);
  const cause = new Error(message);
  cause.name = name;
  if (error instanceof Error && error.stack !== undefined) {
    cause.stack = error.stack;
  }
  return cause;
}
