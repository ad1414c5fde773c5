import { createFiles } from '../../gateway/config/files.ts'
import type { Files, SourceFile } from '../../gateway/contract.ts'

interface WithDirectory { testdir (content: Record<string, string>): string }

/** A file of the platform team with this text, read the way the gateway does; its faults name it `name`. */
export function sourceFile (t: WithDirectory, text: string, name = 'map.yaml'): SourceFile {
  const { file, faults } = filesIn(t.testdir({ [name]: text })).read(name)
  if (file === null) throw new Error(faults.map(fault => fault.message).join('\n'))
  return file
}

export function filesIn (cwd: string): Files {
  return createFiles({ cwd, env: {} })
}
