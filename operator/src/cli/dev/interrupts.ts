/** The part of `process.stdin` that is needed here. */
export interface Keyboard {
  readonly isTTY?: boolean;
  setRawMode(raw: boolean): unknown;
  resume(): unknown;
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
}

const ctrlC = 0x03;
const ctrlBackslash = 0x1c;

/**
 * Each call waits for one more wish to end: a signal, or Ctrl-C on the keyboard. Under a live view the keyboard is read without the
 * terminal's echo, which would draw `^C` and whatever is typed into the view, and Ctrl-C does not reach the programs that started this one.
 */
export function listenForInterrupts(options: { readonly keyboard: Keyboard | undefined }): () => Promise<void> {
  let arrived = 0;
  let awaited = 0;
  let wake: (() => void) | undefined;
  const interrupt = () => {
    arrived++;
    wake?.();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, interrupt);
  }
  if (options.keyboard?.isTTY) {
    readKeys(options.keyboard, interrupt);
  }
  return async () => {
    awaited++;
    while (arrived < awaited) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

function readKeys(keyboard: Keyboard, interrupt: () => void): void {
  keyboard.setRawMode(true);
  process.on('exit', () => keyboard.setRawMode(false));
  keyboard.on('data', (bytes) => {
    for (const byte of bytes) {
      if (byte === ctrlC) {
        interrupt();
      } else if (byte === ctrlBackslash) {
        keyboard.setRawMode(false);
        process.kill(process.pid, 'SIGQUIT');
      }
    }
  });
  keyboard.resume();
}
