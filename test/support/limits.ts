/** What a limit is multiplied by: generous by default, as machines are shared; PTUNING_TEST_SCALE says otherwise. */
const scale = Number(process.env.PTUNING_TEST_SCALE || 4);

/** A time limit in milliseconds, from what the work takes on a quiet machine of two cores. */
export const limit = (milliseconds: number): number => Math.round(milliseconds * scale);
