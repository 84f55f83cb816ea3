import { createHash } from 'node:crypto';
import type { Credentials } from './credentials.ts';
import type { Audience, Role } from './token.ts';

/**
 * How the two ends of a connection prove themselves to each other, before either says or keeps anything else: the one that connects sends a token, the other
 * answers with one that is bound to it. So the answer cannot come from before; the token counts once.
 */
export interface ConnectionProof {
  readonly token: string;
  /** Throws unless the answer is that of a `role`, to this token. */
  checkAnswer(answer: string | undefined): void;
}

interface Kind {
  readonly audience: Audience;
  /** Of the one that listens. */
  readonly listener: Role;
  /** Where it listens, when both ends know the address by the same name: a token for one address is no good at another. */
  readonly address?: string | undefined;
}

export function proveConnection(credentials: Credentials, { audience, listener, address }: Kind): ConnectionProof {
  const token = credentials.prove({ audience, boundTo: address });
  return {
    token,
    checkAnswer: (answer) => {
      credentials.verify(answer, { audience, roles: [listener], boundTo: digestOf(token), what: 'the answer of the other side' });
    },
  };
}

/** The answer to the token of a TaskManager that connects. Throws `CredentialMissing`, `CredentialRefused` or `CredentialForbidden`. */
export function answerConnection(
  credentials: Credentials,
  token: string | undefined,
  { audience, address, peer }: Omit<Kind, 'listener'> & { readonly peer: string | undefined },
): string {
  const roles: readonly Role[] = ['TaskManager'];
  credentials.verify(token, { audience, roles, what: 'a connection', boundTo: address, peer });
  return credentials.prove({ audience, boundTo: digestOf(token ?? '') });
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
