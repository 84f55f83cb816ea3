import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { Screen } from './screen.ts';
import type { Line } from './style.ts';

class FakeTerminal extends EventEmitter {
  columns = 10;
  rows = 3;
  written = '';

  write(text: string): boolean {
    this.written += text;
    return true;
  }

  take(): string {
    const text = this.written;
    this.written = '';
    return text;
  }
}

function line(text: string): Line {
  return [{ text, tone: 'plain' }];
}

test('only lines that changed are written', () => {
  const terminal = new FakeTerminal();
  const screen = new Screen(terminal, { colour: false, redraw: () => undefined });
  screen.draw([line('one'), line('two')]);
  terminal.take();
  screen.draw([line('one'), line('TWO')]);
  assert.equal(terminal.take(), '\x1b[?2026h\x1b[2;1HTWO\x1b[K\x1b[?2026l');
  screen.draw([line('one'), line('TWO')]);
  assert.equal(terminal.take(), '');
});

test('a line as wide as the terminal keeps its last character', () => {
  const terminal = new FakeTerminal();
  new Screen(terminal, { colour: false, redraw: () => undefined }).draw([line('0123456789')]);
  assert(!terminal.take().includes('0123456789\x1b[K'));
});

test('a resize clears and draws everything again', () => {
  const terminal = new FakeTerminal();
  let redraws = 0;
  const screen = new Screen(terminal, { colour: false, redraw: () => redraws++ });
  screen.draw([line('one')]);
  terminal.take();
  terminal.emit('resize');
  assert.equal(redraws, 1);
  screen.draw([line('one')]);
  const written = terminal.take();
  assert(written.includes('\x1b[2J') && written.indexOf('one') > written.indexOf('\x1b[2J'));
});

test('closing gives the cursor and the shell back once, and drawing after it does nothing', () => {
  const terminal = new FakeTerminal();
  const screen = new Screen(terminal, { colour: false, redraw: () => undefined });
  terminal.take();
  screen.close();
  assert.equal(terminal.take(), '\x1b[?25h\x1b[?1049l');
  screen.close();
  screen.draw([line('one')]);
  assert.equal(terminal.take(), '');
  assert.equal(terminal.listenerCount('resize'), 0);
});
