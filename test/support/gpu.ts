/**
 * A GPU in software for WebGPU, from Debian's Chromium: a driver of Vulkan beside those that the system has. Only what is
 * set before a process starts counts.
 */
import { existsSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";

const chromium = "/usr/lib/chromium";
const files = ["libvulkan.so.1", "vk_swiftshader_icd.json"].map((name) => join(chromium, name));

/** Lets processes that are started from here find it, where it is there. @param folder that holds what leads to it */
export async function offerSoftwareGpu(folder: string): Promise<void> {
  const [library, driver] = files as [string, string];
  if (!files.every((file) => existsSync(file))) return;
  // The folder of Chromium has more libraries, which nobody else shall get.
  const own = join(folder, "vulkan");
  await mkdir(own);
  await symlink(library, join(own, "libvulkan.so.1"));
  process.env.LD_LIBRARY_PATH = [own, process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  process.env.VK_ADD_DRIVER_FILES = driver;
}
