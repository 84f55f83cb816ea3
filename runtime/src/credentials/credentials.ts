import { JobError } from '../core/job-error.ts';
import type { JobKeys } from './job-keys.ts';
import {
  type Audience,
  type Claims,
  clockSkewMsMax,
  credentialForbidden,
  credentialMissing,
  credentialRefused,
  newNonce,
  openToken,
  type Role,
  signToken,
  tokenLifetimeMs,
} from './token.ts';

export interface CredentialsOptions {
  /** Who this process is. */
  readonly role: Role;
  /** Asked at every use: keys turn while the process runs. */
  readonly keys: () => JobKeys;
  readonly nowMs: () => number;
  /** Told of every peer that proves nothing. */
  readonly onRefused?: (refusal: { readonly error: JobError; readonly what: string; readonly peer: string | undefined }) => void;
}

/** What a token has to be good for. */
export interface Expected {
  readonly audience: Audience;
  readonly roles: readonly Role[];
  readonly boundTo?: string | undefined;
  /** What is being done, for messages. */
  readonly what: string;
  /** By whom, as far as its address says it. */
  readonly peer?: string | undefined;
}

/** Past it the oldest is forgotten. A whole cluster that registers at once needs a hundredth; only tokens with a good signature are counted. */
const usedNonceCountMax = 100_000;

/** By which a process of a job proves who it is, and judges the proofs of others. */
export class Credentials {
  readonly #options: CredentialsOptions;
  /** Nonces of tokens that were accepted, oldest first, and when each is past its life anyway. */
  readonly #used = new Map<string, number>();

  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /** A token for one use. */
  prove({ audience, boundTo }: { readonly audience: Audience; readonly boundTo?: string | undefined }): string {
    const { role, keys, nowMs } = this.#options;
    const { job, current } = keys();
    const claims = { job, role, audience, issuedAtMs: nowMs(), nonce: newNonce() };
    return signToken(current, boundTo === undefined ? claims : { ...claims, boundTo });
  }

  /**
   * Throws `CredentialMissing`, `CredentialRefused` or `CredentialForbidden`. What the token is bound to is left to the caller when `boundTo` is absent: a
   * request's body is read after it is known who sends it.
   */
  verify(token: string | undefined, expected: Expected): Claims {
    try {
      return this.#verify(token, expected);
    } catch (error) {
      if (error instanceof JobError) {
        this.#options.onRefused?.({ error, what: expected.what, peer: expected.peer });
      }
      throw error;
    }
  }

  #verify(token: string | undefined, expected: Expected): Claims {
    const { keys, nowMs: now } = this.#options;
    const { audience, roles, boundTo, what } = expected;
    if (token === undefined || token === '') {
      throw credentialMissing(what);
    }
    const nowMs = now();
    const claims = openToken(token, { keys: keys(), nowMs });
    if (claims.audience !== audience) {
      throw credentialRefused(`it is for ${claims.audience} and not for ${audience}`);
    }
    if (boundTo !== undefined && claims.boundTo !== boundTo) {
      throw credentialRefused('it is for another peer or another question');
    }
    if (!roles.includes(claims.role)) {
      throw credentialForbidden(claims.role, roles);
    }
    this.#useOnce(claims, nowMs);
    return claims;
  }

  #useOnce({ nonce, issuedAtMs }: Claims, nowMs: number): void {
    for (const [old, untilMs] of this.#used) {
      if (untilMs > nowMs && this.#used.size < usedNonceCountMax) {
        break;
      }
      this.#used.delete(old);
    }
    if (this.#used.has(nonce)) {
      throw credentialRefused('it was used before');
    }
    this.#used.set(nonce, issuedAtMs + tokenLifetimeMs + clockSkewMsMax);
  }
}
