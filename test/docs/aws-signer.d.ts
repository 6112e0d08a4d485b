declare module 'aws-msk-iam-sasl-signer-js' {
  export function generateAuthToken(options: { region: string }): Promise<{ token: string; expiryTime: number }>
}
