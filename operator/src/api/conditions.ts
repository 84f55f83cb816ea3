import { z } from 'zod';

/**
 * Conditions are the contract with people and tools. `Ready`, `Reconciling` and `Stalled` follow kstatus: Ready is True when what the
 * spec asks for is there; Reconciling is True while the controller works towards it; Stalled is True when it cannot get there by itself.
 */
const conditionTypes = [
  ...(['Ready', 'Reconciling', 'Stalled', 'Running', 'CheckpointFresh', 'RolloutProgressing'] as const),
  ...(['RollbackAvailable', 'Restorable', 'DefaultsTakenIn', 'Paused'] as const),
] as const;
export type ConditionType = (typeof conditionTypes)[number];

export const Condition = z.strictObject({
  type: z.enum(conditionTypes).meta({ description: 'What the condition is about.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  reason: z.string().min(1).meta({ description: 'One CamelCase word for programs.' }),
  message: z.string().meta({ description: 'A sentence for people.' }),
  lastTransitionTime: z.iso.datetime().meta({ description: 'When status last changed.' }),
  observedGeneration: z.int().min(0).meta({ description: 'The generation of the spec that this is about.' }),
});
export type Condition = z.infer<typeof Condition>;

/** Replaces the condition of the same type; `lastTransitionTime` moves only when `status` changes. */
export function setCondition(conditions: readonly Condition[], next: Condition): Condition[] {
  const before = conditions.find((condition) => condition.type === next.type);
  const merged =
    before !== undefined && before.status === next.status ? { ...next, lastTransitionTime: before.lastTransitionTime } : next;
  return before === undefined
    ? [...conditions, merged]
    : conditions.map((condition) => (condition.type === next.type ? merged : condition));
}

export function findCondition(conditions: readonly Condition[] | undefined, type: ConditionType): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
