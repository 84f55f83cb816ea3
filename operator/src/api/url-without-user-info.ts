import type { z } from 'zod';

/** `s3://key:secret@bucket/…`: whatever reads FlinkJobs, or their events and logs, would read that. */
const withUserInfo = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/]*@/;

/** A path, or a URL that holds no credentials. */
export function withoutUserInfo(text: z.ZodString): z.ZodString {
  return text.refine((value) => !withUserInfo.test(value), {
    params: {
      expected: 'no user and no password in the URL',
      remedy: 'Take them out, and give them to the job in its environment (docs/checkpoint-storage.md).',
    },
  });
}

/** The same for an API server. */
export const withoutUserInfoRule = {
  rule: `!self.matches(${JSON.stringify(withUserInfo.source)})`,
  message: 'must hold no user and no password: they come from the environment',
};

/** For showing a value that was refused: without what a URL may hold besides its place. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(/:\/\/[^\s/"]*@/g, '://***@').replaceAll(/(:\/\/[^\s?"]*\?)[^\s"]+/g, '$1***');
}
