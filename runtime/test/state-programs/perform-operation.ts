import { assert, unreachable } from '../../src/core/assert.ts';
import type { KeyedStateBackend } from '../../src/state-backend/state-backend.ts';
import type { Operation, ProgramState, StateOperation, StateProgram } from './program.ts';

/** Does an operation on a backend, on what is current there, and gives what it gives. */
export function performOperation(program: StateProgram, backend: KeyedStateBackend, operation: Operation): unknown {
  switch (operation.type) {
    case 'SetCurrentKey':
      return backend.setCurrentKey(program.keys[operation.key]);
    case 'SetCurrentNamespace':
      return backend.setCurrentNamespace(program.namespaces[operation.namespace]);
    case 'RegisterTimer':
      return backend.registerTimer(operation.domain, operation.timestampMs);
    case 'DeleteTimer':
      return backend.deleteTimer(operation.domain, operation.timestampMs);
    case 'State':
      return performOnState(program, backend, operation);
    default:
      return unreachable(operation);
  }
}

function performOnState(program: StateProgram, backend: KeyedStateBackend, operation: StateOperation): unknown {
  const { implementation, mapKeys } = program.states[operation.state] as ProgramState;
  const { name, stateType } = implementation.declaration;
  switch (operation.call) {
    case 'get':
      assert(stateType !== 'map', 'a map is read by key');
      return backend[stateType](name).get();
    case 'clear':
      return backend[stateType](name).clear();
    case 'set':
      return backend.value(name).set(operation.value);
    case 'add':
      assert(stateType !== 'map' && stateType !== 'value', 'only some states are added to');
      return backend[stateType](name).add(operation.value);
    case 'setList':
      return backend.list(name).set(operation.values);
    case 'mapGet':
      return backend.map(name).get(mapKeys[operation.mapKey]);
    case 'mapHas':
      return backend.map(name).has(mapKeys[operation.mapKey]);
    case 'mapSet':
      return backend.map(name).set(mapKeys[operation.mapKey], operation.value);
    case 'mapDelete':
      return backend.map(name).delete(mapKeys[operation.mapKey]);
    case 'entries':
      return [...backend.map(name).entries()];
    case 'deleteWhileIterating': {
      const found: (readonly [unknown, unknown])[] = [];
      for (const entry of backend.map(name).entries()) {
        if (found.length % operation.every === 0) {
          backend.map(name).delete(entry[0]);
        }
        found.push(entry);
      }
      return found;
    }
    default:
      return unreachable(operation);
  }
}
