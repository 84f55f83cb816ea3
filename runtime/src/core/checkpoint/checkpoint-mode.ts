/**
 * How often a record counts in state after a failure. `ExactlyOnce`: a subtask reads nothing of a channel between its barrier and the last
 * channel's. `AtLeastOnce`: it reads on, so that no channel waits for another, and what it reads there is in the checkpoint although
 * its source will give it again.
 */
export type CheckpointMode = 'ExactlyOnce' | 'AtLeastOnce';
