/** The statements of a migration, one by one. Each ends with its line; a comment may end like one. */
export function pieces (sql: string): string[] {
  const found: string[] = []
  let piece = ''
  for (const line of sql.replaceAll('; ', ';\n').split('\n')) {
    piece += `${line}\n`
    if (!line.endsWith(';') || line.startsWith('--')) continue
    found.push(piece)
    piece = ''
  }
  return [...found, piece]
}
