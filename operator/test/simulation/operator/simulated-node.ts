/** A machine. One that is down is gone with its processes; one that is cut off lives on, out of sight, and still reaches the storage. */
export interface SimulatedNode {
  readonly name: string;
  state: 'Ready' | 'Down' | 'CutOff';
}
