import type { Engine } from './engine.ts';

/** The same engine for one of several replicas: while it does not lead, its clients only read. */
export function leadingEngine(engine: Engine, isLeading: () => boolean): Engine {
  return { ...engine, client: (address, credentials) => engine.client(address, credentials, isLeading) };
}
