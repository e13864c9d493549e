/** A GPU is asked for, and may not be there. */
import { spawnSync } from "node:child_process";
import { nodeEngine } from "ptuning/engine";
import { expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

test("what cannot compute is refused", () => {
  expect(() => nodeEngine({ device: "tpu" as "cpu" })).toThrow(
    expect.objectContaining({
      code: "OPTION_INVALID",
      message: expect.stringMatching(/device: expected one of cpu, webgpu, got "?tpu/),
    }),
  );
});

test.runIf(process.platform === "linux")("where there is no GPU, it is said and the process goes on", () => {
  const program = `
    import { floats } from "ptuning/internal/core";
    import { nodeEngine } from "ptuning/engine";
    import { GraphBuilder } from "ptuning/internal/graph";
    const b = new GraphBuilder("double");
    b.output("y", b.op("Mul", [b.input("x", "float32", [1]), b.scalar(2)]));
    const gpu = nodeEngine({ device: "webgpu" });
    for (let i = 0; i < 2; i++) {
      const { code, message, hint } = await gpu.compile(b.build()).catch((error) => error);
      console.log(JSON.stringify({ code, message, hint }));
    }
    await gpu.close();
    const cpu = nodeEngine({ threads: 1 });
    const { y } = await (await cpu.compile(b.build())).run({ x: floats([1], [21]) });
    console.log(y.data[0]);
    await cpu.close();
  `;
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: repository,
    encoding: "utf8",
    // No driver of the system counts beside this.
    env: {
      ...process.env,
      VK_DRIVER_FILES: "/nowhere",
      VK_ICD_FILENAMES: "/nowhere",
      VK_ADD_DRIVER_FILES: "",
    },
  });
  expect(status).toBe(0);
  const [first, second, answer] = stdout.trim().split("\n");
  for (const line of [first, second]) {
    expect(JSON.parse(line!)).toMatchObject({
      code: "ENGINE_UNAVAILABLE",
      message: expect.stringMatching(/^device: expected .*, got .*adapter/s),
      hint: expect.stringMatching(/libvulkan1/),
    });
  }
  expect(answer).toBe("42");
});
