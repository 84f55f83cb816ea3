import type { Operation, StateProgram } from './program.ts';

/** Operations that read every state of a key, in every namespace. */
export function readsOfKey({ namespaces, states }: StateProgram, key: number): readonly Operation[] {
  const reads = states.map(
    ({ implementation }, state): Operation => ({
      type: 'State',
      state,
      call: implementation.declaration.stateType === 'map' ? 'entries' : 'get',
    }),
  );
  const selectKey: Operation = { type: 'SetCurrentKey', key };
  if (namespaces.length === 0) {
    return [selectKey, ...reads];
  }
  const inNamespaces = [...namespaces.keys()].flatMap((namespace): readonly Operation[] => [
    { type: 'SetCurrentNamespace', namespace },
    ...reads,
  ]);
  return [selectKey, ...inNamespaces];
}
