// SPDX-License-Identifier: MIT
// What Linux says of a process.
import fs from 'node:fs/promises';

// Time on the processor, in ticks of a hundredth of a second.
export async function cpuTicks(pid) {
  const text = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

// Descriptors that are open.
export async function descriptors(pid) {
  return (await fs.readdir(`/proc/${pid}/fd`)).length;
}
