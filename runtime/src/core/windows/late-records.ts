import type { KeyedContext } from '../job-graph/keyed-process.ts';
import type { WindowDefinition } from './window-definition.ts';

/** A record that no window takes any more: to the side output declared for it, or dropped and counted. */
export function passLate({ lateOutputTag }: WindowDefinition, context: KeyedContext, record: unknown): void {
  if (lateOutputTag === undefined) {
    context.dropLate();
  } else {
    context.emitTo(lateOutputTag, record);
  }
}
