import type { Backbone } from "../backbones/index.ts";
import { linearProbe } from "../methods/index.ts";
import { checkTogether, inferenceGraph } from "../model/index.ts";
import type { Task } from "../tasks/index.ts";
import { forward } from "./forward.ts";

/**
 * The task for a backbone: what depends on its vocabulary is settled. Most tasks stay as they are.
 * @throws BACKBONE_UNSUPPORTED, OPTION_INVALID
 */
export async function settleTask(task: Task, backbone: Backbone): Promise<Task> {
  if (task.settle === undefined) return task;
  // A head of no parameters on an untouched backbone.
  const method = linearProbe();
  checkTogether({ backbone, method, head: task.head });
  return task.settle({
    backbone,
    async logits(head, sequences) {
      await using session = await backbone.engine.compile(inferenceGraph({ backbone, method, head }, {}));
      const rows: (readonly number[])[] = [];
      const maxLength = backbone.architecture.maxLength(backbone.config, 0);
      for await (const pass of forward(session, { sequences }, backbone, maxLength)) {
        const width = pass.logits.length / pass.rows.length;
        for (const [b, row] of pass.rows.entries()) {
          rows[row] = Array.from({ length: width }, (_, i) => pass.logits[b * width + i]!);
        }
      }
      return Float32Array.from(rows.flat());
    },
  });
}
