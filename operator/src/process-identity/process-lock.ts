import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';

export interface LockHolder extends ProcessIdentity {
  /** Of this acquisition; never comes twice. */
  readonly nonce: string;
}

export type LockAttempt =
  | { readonly acquired: true; readonly lock: ProcessLock }
  | { readonly acquired: false; readonly holder: LockHolder | undefined };

/**
 * A lock file that names its holder. A holder that died is replaced: whoever creates `<file>.after-<its nonce>` first may do so, so two
 * contenders that both saw the dead holder cannot both succeed. The right is held until the new holder stands in the file, and is given
 * back only then; so who gets it later sees the new holder.
 */
export class ProcessLock {
  readonly #file: string;
  readonly #holder: LockHolder;

  private constructor(file: string, holder: LockHolder) {
    this.#file = file;
    this.#holder = holder;
  }

  static async tryAcquire(file: string): Promise<LockAttempt> {
    await mkdir(path.dirname(file), { recursive: true });
    const me: LockHolder = { ...(await ownIdentity()), nonce: randomUUID() };
    if (await createHolder(file, me)) {
      return { acquired: true, lock: new ProcessLock(file, me) };
    }
    const holder = await readHolder(file);
    if (holder === undefined) {
      return { acquired: false, holder };
    }
    if ((await isAlive(holder)) || !(await takeOver({ file, dead: holder, me }))) {
      return { acquired: false, holder };
    }
    return { acquired: true, lock: new ProcessLock(file, me) };
  }

  async release(): Promise<void> {
    const holder = await readHolder(this.#file);
    if (holder?.nonce === this.#holder.nonce) {
      await rm(this.#file, { force: true });
    }
  }
}

async function takeOver(options: {
  readonly file: string;
  readonly dead: LockHolder;
  readonly me: LockHolder;
}): Promise<boolean> {
  const { file, dead, me } = options;
  const right = `${file}.after-${dead.nonce}`;
  if (!(await createHolder(right, me))) {
    const contender = await readHolder(right);
    if (contender === undefined || (await isAlive(contender)) || !(await takeOver({ file: right, dead: contender, me }))) {
      return false;
    }
  }
  try {
    if ((await readHolder(file))?.nonce !== dead.nonce) {
      return false;
    }
    await replaceHolder(file, me);
    return true;
  } finally {
    await rm(right, { force: true });
  }
}

/** False when the file exists. Its content is complete from the first moment. */
async function createHolder(file: string, holder: LockHolder): Promise<boolean> {
  const temporary = `${file}.${holder.nonce}.tmp`;
  await writeFile(temporary, JSON.stringify(holder));
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      return false;
    }
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function replaceHolder(file: string, holder: LockHolder): Promise<void> {
  const temporary = `${file}.${holder.nonce}.tmp`;
  await writeFile(temporary, JSON.stringify(holder));
  await rename(temporary, file);
}

async function readHolder(file: string): Promise<LockHolder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as LockHolder;
  } catch {
    return undefined;
  }
}
