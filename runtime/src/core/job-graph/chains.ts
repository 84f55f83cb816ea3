import type { DeclaredOperator } from './operator-declaration.ts';

/** Operators that run as one task, in the order of the records. */
export type Chain = [DeclaredOperator, ...DeclaredOperator[]];

/**
 * Divides the operators into chains: within one, records are handed on from operator to operator and never move. An operator joins the chain of its
 * input when all of this holds, and begins one otherwise.
 *
 * 1. It has exactly one input, and that is neither keyed nor broadcast. So an operator with state by key, with several inputs or with
 *    a union before it always begins a chain, also at parallelism 1: a rescale then changes numbers, not the graph's shape.
 * 2. The input is the main output of an operator, not a side output.
 * 3. Nobody else reads that main output. (Side outputs may leave from anywhere in a chain.)
 * 4. Both have the same parallelism.
 * 5. It has no operator state: of a chain's state only the first operator's is kept.
 */
export function formChains(operators: readonly DeclaredOperator[]): readonly Chain[] {
  const readerCounts = countReaders(operators);
  const chains: Chain[] = [];
  const chainOf = new Map<DeclaredOperator, Chain>();
  for (const operator of operators) {
    const before = chainableInput(operator, readerCounts);
    const chain = before === undefined ? undefined : chainOf.get(before);
    if (chain === undefined) {
      const begun: Chain = [operator];
      chains.push(begun);
      chainOf.set(operator, begun);
    } else {
      chain.push(operator);
      chainOf.set(operator, chain);
    }
  }
  return chains;
}

function chainableInput(
  operator: DeclaredOperator,
  readerCounts: ReadonlyMap<DeclaredOperator, number>,
): DeclaredOperator | undefined {
  const [input, second] = operator.inputs;
  const canChain =
    input !== undefined &&
    second === undefined &&
    operator.description.operatorLists === undefined &&
    input.key === undefined &&
    !input.broadcast &&
    input.outputTag === undefined &&
    readerCounts.get(input.from) === 1 &&
    input.from.parallelism === operator.parallelism;
  return canChain ? input.from : undefined;
}

/** Of main outputs. */
function countReaders(operators: readonly DeclaredOperator[]): ReadonlyMap<DeclaredOperator, number> {
  const counts = new Map<DeclaredOperator, number>();
  for (const { inputs } of operators) {
    for (const { from, outputTag } of inputs) {
      if (outputTag === undefined) {
        counts.set(from, (counts.get(from) ?? 0) + 1);
      }
    }
  }
  return counts;
}
