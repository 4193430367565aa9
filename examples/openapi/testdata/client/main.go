// Program client calls the partner API by a client that was generated from its OpenAPI
// document. Its argument is the URL of the API, and KEY a key with every scope.
package main

import (
	"client/partner"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	ctx := context.Background()
	bearer := func(key string) partner.ClientOption {
		return partner.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+key)
			return nil
		})
	}
	url := os.Args[1]
	api := must(partner.NewClientWithResponses(url, bearer(os.Getenv("KEY"))))
	anyone := must(partner.NewClientWithResponses(url))

	me := must(api.GetMeWithResponse(ctx)).JSON200
	fmt.Println("me", me.PartnerOrg, me.RateLimitRemaining > 0)
	label, seconds := "generated", 3600
	metadata := map[string]any{"team": "a"}
	made := must(api.CreateKeyWithResponse(ctx, partner.KeySpec{Label: &label, ExpiresIn: &seconds, Metadata: &metadata, Scopes: &[]partner.ScopeName{"webhooks:manage"}})).JSON201
	fmt.Println("made", made.Label, made.Scopes, made.ExpiresAt.Sub(made.CreatedAt))
	overlap := 60
	next := must(api.RotateKeyWithResponse(ctx, made.KeyId, partner.KeyRotation{Overlap: &overlap})).JSON201
	old := must(api.GetKeyWithResponse(ctx, made.KeyId)).JSON200
	fmt.Println("rotated", *next.Replaces == made.KeyId, *old.ReplacedBy == next.KeyId)
	yes := true
	changed := must(api.ChangeKeyWithResponse(ctx, next.KeyId, partner.KeyChange{Disabled: &yes})).JSON200
	fmt.Println("paused", changed.DisabledAt != nil)
	limit := 2
	list := must(api.ListKeysWithResponse(ctx, &partner.ListKeysParams{Limit: &limit})).JSON200
	fmt.Println("list", len(list.Keys), list.NextCursor != nil)
	fmt.Println("gone", must(api.RevokeKeyWithResponse(ctx, next.KeyId, nil)).StatusCode())
	fmt.Println("conflict", must(api.ChangeKeyWithResponse(ctx, next.KeyId, partner.KeyChange{Label: &label})).JSON409.Error)
	fmt.Println("none", must(api.GetKeyWithResponse(ctx, "none")).JSON404.Error)
	refused := must(anyone.GetMeWithResponse(ctx))
	fmt.Println("refused", refused.JSON401.Error, refused.Headers401.WWWAuthenticate)

	client := must(api.CreateClientWithResponse(ctx, partner.OAuthClientSpec{Name: &label})).JSON201
	token := must(anyone.IssueTokenWithFormdataBodyWithResponse(ctx, partner.TokenRequest{
		GrantType: "client_credentials", ClientId: &client.ClientId, ClientSecret: &client.ClientSecret,
	})).JSON200
	chain := must(must(partner.NewClientWithResponses(url, bearer(token.AccessToken))).GetChainWithResponse(ctx)).JSON200
	fmt.Println("chain", chain.CompanyId)
	about := must(anyone.IntrospectWithFormdataBodyWithResponse(ctx, partner.TokenQuery{Token: token.AccessToken, ClientId: &client.ClientId, ClientSecret: &client.ClientSecret}))
	fmt.Println("introspected", about.JSON200.Active)
	rotated := must(api.RotateClientSecretWithResponse(ctx, client.ClientId, partner.OAuthClientRotation{})).JSON200
	fmt.Println("another secret", rotated.ClientSecret != client.ClientSecret)
	fmt.Println("deleted", must(api.DeleteClientWithResponse(ctx, client.ClientId, nil)).StatusCode())
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
