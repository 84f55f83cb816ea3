import { createHash } from 'node:crypto';
import type { Credentials } from './credentials.ts';
import { credentialRefused, type Role } from './token.ts';

const scheme = 'FlinkJob';

/** TaskManagers hold the keys, but nothing that they do needs REST. */
const rolesThatMayChange: readonly Role[] = ['Controller', 'Tool'];

export interface RestCall {
  readonly method: string;
  /** With the query, as it is sent. */
  readonly path: string;
  readonly body: string;
}

/** The header `authorization` of one request and no other: whoever sees it, or is asked in place of the JobManager, can at most repeat the request. */
export function authorizeRestCall(credentials: Credentials, call: RestCall): string {
  return `${scheme} ${credentials.prove({ audience: 'Rest', boundTo: bindingOf(call) })}`;
}

/** The same for whatever request a person makes of it within the token's life. */
export function authorizeAnyRestCall(credentials: Credentials): string {
  return `${scheme} ${credentials.prove({ audience: 'Rest' })}`;
}

/**
 * Judges a request in two steps, so that nothing of a body is read for somebody unknown: at first who it is, then, by what it returns, whether it is this request
 * that was meant. Throws `CredentialMissing`, `CredentialRefused` or `CredentialForbidden`.
 */
export function verifyRestCall(
  credentials: Credentials,
  request: {
    readonly method: string;
    readonly path: string;
    readonly authorization: string | undefined;
    readonly peer?: string | undefined;
  },
): (body: string) => void {
  const { method, path, authorization, peer } = request;
  const token = authorization?.startsWith(`${scheme} `) === true ? authorization.slice(scheme.length + 1) : undefined;
  const { role, boundTo } = credentials.verify(token, {
    ...{ audience: 'Rest', roles: rolesThatMayChange, peer },
    what: `${method} ${path.split('?')[0]}`,
  });
  if (boundTo === undefined && role !== 'Tool') {
    throw credentialRefused('it names no request');
  }
  return (body) => {
    if (boundTo !== undefined && boundTo !== bindingOf({ method, path, body })) {
      throw credentialRefused('it is for another request');
    }
  };
}

function bindingOf({ method, path, body }: RestCall): string {
  const bodyDigest = createHash('sha256').update(body).digest('hex');
  return createHash('sha256').update(`${method}\n${path}\n${bodyDigest}`).digest('base64url');
}
