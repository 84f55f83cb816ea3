import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { JobError } from '../core/job-error.ts';
import type { JobKey, JobKeys } from './job-keys.ts';

/** Controller: who owns the job's life. Tool: a person's command. */
const Role = z.enum(['JobManager', 'TaskManager', 'Controller', 'Tool']);
export type Role = z.infer<typeof Role>;

/** Which port it is for: one that was meant for another port is refused. */
const Audience = z.enum(['Rest', 'Control', 'Data']);
export type Audience = z.infer<typeof Audience>;

const Claims = z.strictObject({
  job: z.string(),
  role: Role,
  audience: Audience,
  issuedAtMs: z.int(),
  /** Random; a token counts once. */
  nonce: z.string().min(1),
  /** What else it is only good for: one request, one address, the answer to one token. */
  boundTo: z.string().optional(),
});
export type Claims = z.infer<typeof Claims>;

/** From its making to its use: one request, or one connection that is being opened. */
export const tokenLifetimeMs = 60_000;
/** Between the clocks of two machines. Clusters keep theirs within milliseconds; who is further off learns it by name. */
export const clockSkewMsMax = 30_000;
/** A job's name, a nonce and a digest need less than half. Nothing longer is looked into. */
export const tokenLengthMax = 1024;

const version = 'fj1';

export function signToken(key: JobKey, claims: Claims): string {
  const signed = `${version}.${key.id}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${macOf(key, signed).toString('base64url')}`;
}

export function newNonce(): string {
  return randomBytes(16).toString('base64url');
}

/** What a token says, once it is known that a holder of one of the keys said it, for this job and just now. Throws `CredentialRefused`. */
export function openToken(token: string, { keys, nowMs }: { readonly keys: JobKeys; readonly nowMs: number }): Claims {
  if (token.length > tokenLengthMax) {
    throw credentialRefused(`a token of more than ${tokenLengthMax} characters`);
  }
  const [first, keyId, body, mac, ...more] = token.split('.');
  if (first !== version || keyId === undefined || body === undefined || mac === undefined || more.length > 0) {
    throw credentialRefused('that is no token of a FlinkJob');
  }
  const key = [keys.current, ...keys.others].find(({ id }) => id === keyId);
  if (key === undefined) {
    throw credentialRefused('it is signed with a key that this job does not have, or not yet, or not any more');
  }
  const expected = macOf(key, `${version}.${keyId}.${body}`);
  const found = Buffer.from(mac, 'base64url');
  if (found.length !== expected.length || !timingSafeEqual(found, expected)) {
    throw credentialRefused('its signature is wrong');
  }
  const parsed = Claims.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')));
  if (!parsed.success) {
    throw credentialRefused('a newer release has made it');
  }
  const claims = parsed.data;
  if (claims.job !== keys.job) {
    throw credentialRefused('it is for another job');
  }
  const ageMs = nowMs - claims.issuedAtMs;
  if (ageMs < -clockSkewMsMax || ageMs > tokenLifetimeMs + clockSkewMsMax) {
    const when = ageMs < 0 ? `from ${-ageMs} ms ahead` : `${ageMs} ms old`;
    throw credentialRefused(
      `it is ${when}; it holds for ${tokenLifetimeMs} ms, between clocks that differ by ${clockSkewMsMax} ms at most`,
    );
  }
  return claims;
}

function macOf(key: JobKey, text: string): Buffer {
  return createHmac('sha256', key.secret).update(text).digest();
}

/** Of a peer that proves nothing. */
export function credentialMissing(what: string): JobError {
  return new JobError(`${what} needs a token of this job`, {
    ...{ domain: 'user', retry: 'backoff', code: 'CredentialMissing' },
    remedy:
      'Ask through the FlinkJob resource or `flinkjob`; `flinkjob-runtime token`, run in a pod of the job, makes a token for one request of your own.',
  });
}

/** It may heal by itself: keys turn, and reach two processes at two moments. */
export function credentialRefused(why: string): JobError {
  return new JobError(`the token is refused: ${why}`, {
    ...{ domain: 'user', retry: 'backoff', code: 'CredentialRefused' },
    remedy:
      'Make another one with a key of this job; new keys reach all of its processes within two minutes. Compare the clocks of both machines.',
  });
}

export function credentialForbidden(role: Role, allowed: readonly Role[]): JobError {
  return new JobError(`a ${role} may not do this`, {
    ...{ domain: 'user', retry: 'never', code: 'CredentialForbidden' },
    remedy: `It is for ${allowed.join(' and ')}.`,
  });
}
